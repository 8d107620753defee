/**
 * Bounds what is parsed in one turn of the event loop. Node reads up to 64 KiB from each socket in a turn. If these are ten
 * thousand chunks of one byte, parsing them takes 30 ms: with 64 such sockets, other requests would wait for two seconds.
 */
import type { Socket } from 'node:net'

/** Most pieces of bodies and requests that are held back in a turn, on all sockets together. Then sockets wait. */
const PER_TURN = 8192
/** A socket that sends this many takes turns with others that do. */
const GREEDY = 1000
/** Short turns after one that used up the budget: the system accepts one connection in each. */
const SHORT_TURNS = 8

const HOLDS = Symbol('holds')
declare module 'node:net' {
  interface Socket {
    [HOLDS]?: number
  }
}

/** Stops reading a socket until {@link release} has been called as often. */
export function hold(socket: Socket) {
  const holds = socket[HOLDS] ?? 0
  socket[HOLDS] = holds + 1
  if (holds > 0) return
  socket.pause()
  // Node resumes it after each request, and when a body is read or a response written.
  socket.resume = () => socket
}

export function release(socket: Socket) {
  socket[HOLDS] = socket[HOLDS]! - 1
  if (socket[HOLDS] > 0) return
  delete (socket as Partial<Socket>).resume
  socket.resume()
}

// There is one event loop, and so one budget.
const open = new Set<Socket>()
const greedy = new Set<Socket>()
let postponed: Socket[] = []
let spent = 0
let shortTurns = 0
let isReversed = true
let scheduled = false

/**
 * Lets a socket wait while others have used up the budget; but not a new one, which can be that of a probe: the system accepts one in
 * each turn, and what one read of it costs is bounded.
 */
export function shareBudget(socket: Socket) {
  open.add(socket)
  socket.once('close', () => open.delete(socket))
}

/** Counts a piece of a body, the `nth` one, or a request that is held back. */
export function spend(socket: Socket, nth = 1) {
  if (nth % GREEDY === 0 && !greedy.has(socket)) {
    greedy.add(socket)
    hold(socket)
    // Those that have not been read come first.
    if (open.delete(socket)) open.add(socket)
  }
  if (++spent === PER_TURN) {
    shortTurns = SHORT_TURNS
    for (const other of open) if (!other.isPaused()) postpone(other)
  }
  schedule()
}

function postpone(socket: Socket) {
  hold(socket)
  postponed.push(socket)
}

function schedule() {
  if (scheduled) return
  scheduled = true
  setImmediate(beginTurn)
}

function beginTurn() {
  scheduled = false
  spent = 0
  if (shortTurns > 0 && --shortTurns > 0) return schedule()
  if (postponed.length > 0) {
    // The system reports sockets in this order. Sometimes the last ones first, so that a probe need not wait for all others.
    if (isReversed) postponed.reverse()
    isReversed = !isReversed
    for (const socket of postponed) release(socket)
    postponed = []
  } else {
    const [next] = greedy
    if (next === undefined) return
    greedy.delete(next)
    release(next)
  }
  if (greedy.size > 0) schedule()
}
