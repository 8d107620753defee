/** Headers that keep a browser from framing, sniffing or running a response. */
import fp from 'fastify-plugin'

export const securityHeaders = {
  'x-content-type-options': 'nosniff',
  'referrer-policy': 'no-referrer',
  // The pages at / and /docs have their own policy.
  'content-security-policy': "default-src 'none'; frame-ancestors 'none'",
}

/** Sets {@link securityHeaders} on every response, errors included. */
export const secureResponses = fp(
  async (app) => {
    app.addHook('onRequest', (_request, reply, done) => {
      reply.headers(securityHeaders)
      done()
    })
  },
  { name: 'security-headers' },
)
