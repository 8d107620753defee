/** A client without a network that records its requests. */
import { type ClientOptions, createClient } from '../src/index.js'

interface RecordedRequest {
  method: string
  url: string
  headers: Headers
  body: unknown
}

/** A client whose requests are recorded. Each of them gets the same JSON as its response. */
export function recording(
  options: Partial<ClientOptions> = {},
  response: unknown = { items: [], has_next: false, next_cursor: null },
) {
  const requests: RecordedRequest[] = []
  const aklp = createClient({
    baseUrl: 'http://tasks.test',
    fetch: async (url, init) => {
      const request = new Request(url, init)
      const text = await request.text()
      requests.push({
        method: request.method,
        url: request.url.slice('http://tasks.test'.length),
        headers: request.headers,
        body: text === '' ? undefined : JSON.parse(text),
      })
      return Response.json(response)
    },
    ...options,
  })
  return { aklp, requests }
}
