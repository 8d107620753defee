/**
 * Measures the overhead of the built client compared to fetch. Needs a running service at AKLP_URL, by default
 * http://localhost:8001. Both calls take turns, so that other load on the machine affects both equally.
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
  `Get a task, median of ${times.bare.length} calls each: fetch ${microseconds(a)}, ` +
    `client ${microseconds(b)}, ${((b / a - 1) * 100).toFixed(1)} % slower`,
)
