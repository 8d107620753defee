/** What is shown, kept in the address of the page: a reload, a link and Back lead to the same. */
import { effect, type Signal, signal } from '@preact/signals'

export const VIEWS = ['list', 'graph', 'board', 'timeline'] as const
export type View = (typeof VIEWS)[number]

export interface Address {
  /** The id of the plan that is open; without one, the plans are listed. */
  plan?: string | undefined
  /** Only plans of this session are listed. */
  session?: string | undefined
  view?: View | undefined
  task?: string | undefined
  done?: 'hidden' | undefined
}

function parse(hash: string): Address {
  const [, plan, query] = /^#\/(?:plans\/([^?/]+))?\/?(?:\?(.*))?$/.exec(hash) ?? []
  const { view, ...others } = Object.fromEntries(new URLSearchParams(query))
  return { plan, ...others, view: VIEWS.find((name) => name === view) }
}

/** The link to an address. */
export function hrefOf({ plan, ...others }: Address): string {
  const given = Object.entries(others).filter((entry): entry is [string, string] => Boolean(entry[1]))
  const query = new URLSearchParams(given).toString()
  return `#/${plan ? `plans/${plan}` : ''}${query && `?${query}`}`
}

export const address = signal(parse(location.hash))

// Also for links, and for an address that was typed.
addEventListener('popstate', () => {
  address.value = parse(location.hash)
})

/** Changes parts of the address. `how` says whether Back leads to the one before. */
export function go(changes: Address, how: 'push' | 'replace' = 'push') {
  const next = { ...address.peek(), ...changes }
  if (hrefOf(next) === hrefOf(address.peek())) return
  history[`${how}State`](null, '', hrefOf(next))
  address.value = next
}

/** A signal for a part of the address, in both directions, and a function that unties it. */
export function tie<T>(
  read: (address: Address) => T,
  write: (value: T) => void,
): [signal: Signal<T>, untie: () => void] {
  const tied = signal(read(address.peek()))
  const ends = [
    effect(() => {
      tied.value = read(address.value)
    }),
    effect(() => write(tied.value)),
  ]
  return [tied, () => ends.forEach((end) => void end())]
}
