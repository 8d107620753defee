/**
 * How much slower a call of the client is than a bare fetch of the same: against a started service, on
 * http://localhost:8001 or where AKLP_URL says. Both take turns, so that what else the machine does meets both alike.
 * The client is the built one.
 */
import { createClient } from '@aklp/task-client'

const WARM_UP = 1_000
const CALLS = 5_000

const baseUrl = process.env.AKLP_URL ?? 'http://localhost:8001'
const aklp = createClient({ baseUrl })
const { id } = await aklp.tasks.create({ title: 'overhead' })

const bare = async () => {
  const response = await fetch(`${baseUrl}/api/v1/tasks/${id}`, { headers: { accept: 'application/json' } })
  if (!response.ok) throw new Error(`${response.status}`)
  return response.json()
}
const client = () => aklp.tasks.get(id)

async function measure(call: () => Promise<unknown>): Promise<number> {
  const start = performance.now()
  await call()
  return performance.now() - start
}

const median = (values: number[]) => values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)]!
const microseconds = (milliseconds: number) => `${(milliseconds * 1000).toFixed(0)} µs`

const times = { bare: [] as number[], client: [] as number[] }
for (let i = -WARM_UP; i < CALLS; i++) {
  const [a, b] = [await measure(bare), await measure(client)]
  if (i >= 0) {
    times.bare.push(a)
    times.client.push(b)
  }
}
await aklp.tasks.delete(id)

const [a, b] = [median(times.bare), median(times.client)]
console.log(
  `GET a task, median of ${times.bare.length} calls each: bare fetch ${microseconds(a)}, ` +
    `client ${microseconds(b)}, ${((b / a - 1) * 100).toFixed(1)} % more`,
)
