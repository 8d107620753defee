/** The disk of the embedded database fills up, and is read-only. Mounts a small file system, and so needs root. */
import { execFileSync } from 'node:child_process'
import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { folder, startService } from '../bench/processes.js'
import { onlyRefusals, type Scenario, stillRuns } from './scenario.js'
import { Client } from './traffic.js'

const mount = (...args: string[]) => execFileSync('mount', args, { stdio: 'pipe' })

export const disk: Scenario = {
  seconds: 5,
  async run({ seconds }) {
    const disk = join(folder, 'disk')
    mkdirSync(disk)
    try {
      mount('-t', 'tmpfs', '-o', 'size=160m', 'tmpfs', disk)
    } catch (error) {
      return [
        {
          must: 'a file system can be mounted',
          seen: `not run: ${(error as Error).message.trim()}`,
          holds: false,
        },
      ]
    }
    try {
      const database = `file:${join(disk, 'data')}`
      const server = await startService(database)
      const client = new Client(server.base)
      const batches: string[] = []
      const plan = {
        tasks: Array.from({ length: 100 }, () => ({ title: 'a', description: 'b'.repeat(1000) })),
      }
      /** Creates batches for a time; answers the codes of those that failed. */
      const write = async (seconds: number) => {
        const codes = new Set<string | undefined>()
        for (const end = Date.now() + 1000 * seconds; Date.now() < end; await sleep(5)) {
          const { status, code, body } = await client.call('POST', '/api/v1/batches', plan)
          if (status === 201 && body) batches.push(body.id)
          else codes.add(code)
        }
        return codes
      }
      const lost = async (client: Client) => {
        let lost = 0
        for (const id of batches)
          if ((await client.call('GET', `/api/v1/batches/${id}`)).body?.tasks?.length !== plan.tasks.length)
            lost++
        return lost
      }

      await write(1)
      // Somebody else fills the disk to the last byte, at once.
      try {
        writeFileSync(join(disk, 'filler'), Buffer.alloc(512 * 2 ** 20))
      } catch {}
      const full = await write(seconds)
      const ready = (await client.call('GET', '/readyz')).status
      const told = /the disk is full: [^"]*/.exec(server.log())?.[0]
      rmSync(join(disk, 'filler'))
      const after = await write(1)
      const running = stillRuns(server)
      const seen = client.answers.slice()
      // The service itself writes until there is no room.
      const own = await write(3 * seconds)
      client.close()
      await server.stop()

      mount('-o', 'remount,ro', disk)
      const refusal = await startService(database).then(
        async (server) => {
          await server.stop()
          return 'it started'
        },
        (error: Error) => error.message,
      )
      mount('-o', 'remount,rw,size=600m', disk)
      const again = await startService(database)
      const other = new Client(again.base)
      const gone = await lost(other)
      const created = (await other.call('POST', '/api/v1/batches', plan)).status
      other.close()
      await again.stop()
      return [
        onlyRefusals(seen),
        {
          must: 'a full disk is told: 503, not ready, a line in the log',
          seen: `${[...full]}; /readyz ${ready}; ${told}`,
          holds: full.size === 1 && full.has('database_unavailable') && ready === 503 && told !== undefined,
        },
        {
          must: 'works again once there is room',
          seen: after.size === 0 ? 'it does' : `${[...after]}`,
          holds: after.size === 0,
        },
        {
          must: 'its own writes end in the same refusal',
          seen: `${[...own]}`,
          holds: [...own].join() === 'database_unavailable',
        },
        {
          must: 'a read-only folder stops the start with its reason',
          seen: refusal.trim().split('\n').at(-1)!,
          holds: /read-only file system/.test(refusal),
        },
        {
          must: 'no corruption: every acknowledged batch is there and whole, and new ones can be written',
          seen: `${gone} of ${batches.length} lost; then ${created}`,
          holds: gone === 0 && batches.length > 0 && created === 201,
        },
        running,
      ]
    } finally {
      execFileSync('umount', ['-l', disk])
    }
  },
}
