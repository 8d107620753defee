/** A token issuer: a key pair and a server with its public key (JWKS). */
import { randomUUID } from 'node:crypto'
import { createServer, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { exportJWK, generateKeyPair, type JWTPayload, SignJWT } from 'jose'
import type { Test } from 'tap'

export async function startIssuer(test: Test) {
  const key = async (alg = 'ES256') => {
    const { publicKey, privateKey } = await generateKeyPair(alg, { extractable: true })
    const kid = randomUUID()
    return { alg, kid, publicKey, privateKey, jwk: { ...(await exportJWK(publicKey)), kid, alg } }
  }
  const first = await key()
  const issuer = 'https://issuer.test'
  const audience = 'aklp-task'
  const state = {
    keys: [first.jwk] as object[],
    asked: 0,
    status: 200,
    respond: undefined as ((response: ServerResponse) => void) | undefined,
  }
  const server = createServer((_request, response) => {
    state.asked++
    if (state.respond) return state.respond(response)
    response.writeHead(state.status, { 'content-type': 'application/json' })
    response.end(JSON.stringify({ keys: state.keys }))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const close = () =>
    new Promise((resolve) => {
      server.close(resolve)
      server.closeAllConnections()
    })
  test.teardown(close)
  const jwksUrl = `http://127.0.0.1:${(server.address() as AddressInfo).port}/jwks`
  return {
    issuer,
    audience,
    jwksUrl,
    settings: { JWT_ISSUER: issuer, JWT_AUDIENCE: audience, JWT_JWKS_URL: jwksUrl },
    /** `keys` and `status` are what the server returns, unless it has a `respond`; `asked` counts its requests. */
    state,
    close,
    key,
    first,
    /** A signed token. `claims` override the defaults. */
    token: (claims: JWTPayload = {}, { by = first } = {}) =>
      new SignJWT({
        iss: issuer,
        aud: audience,
        sub: 'learner',
        scope: 'tasks:read tasks:write',
        exp: Math.floor(Date.now() / 1000) + 3600,
        ...claims,
      })
        .setProtectedHeader({ alg: by.alg, kid: by.kid })
        .sign(by.privateKey),
  }
}
