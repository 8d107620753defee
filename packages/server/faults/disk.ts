/** The disk of the embedded database is full, then read-only. Mounts a tmpfs, which needs root. */
import { execFileSync } from 'node:child_process'
import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { folder, startService } from '../bench/processes.js'
import { onlyExpectedStatuses, type Scenario, stillRuns } from './scenario.js'
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
          expected: 'a tmpfs can be mounted',
          observed: `not run: ${(error as Error).message.trim()}`,
          passed: false,
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
      /** Creates batches for this time and returns the error codes. */
      const write = async (seconds: number) => {
        const codes = new Set<string | undefined>()
        for (const end = Date.now() + 1000 * seconds; Date.now() < end; await sleep(5)) {
          const { status, code, body } = await client.call('POST', '/api/v1/batches', plan)
          if (status === 201 && body) batches.push(body.id)
          else codes.add(code)
        }
        return codes
      }
      const countLost = async (client: Client) => {
        let lost = 0
        for (const id of batches)
          if ((await client.call('GET', `/api/v1/batches/${id}`)).body?.tasks?.length !== plan.tasks.length)
            lost++
        return lost
      }

      await write(1)
      // Another process fills the disk.
      try {
        writeFileSync(join(disk, 'filler'), Buffer.alloc(512 * 2 ** 20))
      } catch {}
      const full = await write(seconds)
      const ready = (await client.call('GET', '/readyz')).status
      const unreadable = await countLost(client)
      const logged = /the disk is full: [^"]*/.exec(server.log())?.[0]
      rmSync(join(disk, 'filler'))
      const after = await write(1)
      const running = stillRuns(server)
      const results = client.results.slice()
      // The service itself fills the disk.
      const own = await write(3 * seconds)
      client.close()
      await server.stop()

      mount('-o', 'remount,ro', disk)
      const startError = await startService(database).then(
        async (server) => {
          await server.stop()
          return 'started'
        },
        (error: Error) => error.message,
      )
      mount('-o', 'remount,rw,size=600m', disk)
      const restarted = await startService(database)
      const newClient = new Client(restarted.base)
      const lost = await countLost(newClient)
      const created = (await newClient.call('POST', '/api/v1/batches', plan)).status
      newClient.close()
      await restarted.stop()
      return [
        onlyExpectedStatuses(results),
        {
          expected: 'a full disk is reported: 503, not ready, a log line',
          observed: `${[...full]}; /readyz ${ready}; ${logged}`,
          passed:
            full.size === 1 && full.has('database_unavailable') && ready === 503 && logged !== undefined,
        },
        {
          expected: 'reads continue on a full disk',
          observed: `${unreadable} of ${batches.length} batches unreadable`,
          passed: unreadable === 0,
        },
        {
          expected: 'recovers once there is space',
          observed: after.size === 0 ? 'it does' : `${[...after]}`,
          passed: after.size === 0,
        },
        {
          expected: 'the same error once its own writes fill the disk',
          observed: `${[...own]}`,
          passed: [...own].join() === 'database_unavailable',
        },
        {
          expected: 'on a read-only folder, startup fails with the reason',
          observed: startError.trim().split('\n').at(-1)!,
          passed: /read-only file system/.test(startError),
        },
        {
          expected: 'no corruption: acknowledged batches are complete, new ones can be created',
          observed: `${lost} of ${batches.length} lost; create returns ${created}`,
          passed: lost === 0 && batches.length > 0 && created === 201,
        },
        running,
      ]
    } finally {
      execFileSync('umount', ['-l', disk])
    }
  },
}
