/** Whether strangers could call the service; that must be wanted. */

import { isLoopback } from '../http/formats.js'
import { type Config, ConfigError } from './config.js'

/** Whether callers have to say who they are. */
export const isProtected = ({ API_KEYS, JWT_ISSUER }: Config) =>
  API_KEYS.length > 0 || JWT_ISSUER !== undefined

/** Stops a start that lets in everybody, wherever the server listens, unless that is said. Throws {@link ConfigError}. */
export function refuseOpenDoor(config: Config) {
  if (isProtected(config) || config.AUTH === 'off') return
  throw new ConfigError(
    'no key is set: make one with "aklp-task-server key --name NAME" and put it into API_KEYS, or set AUTH to off where everybody who reaches the server is trusted',
  )
}

/** Stops a start that would let in everybody who reaches the address. Throws {@link ConfigError}. */
export function refuseExposure(config: Config) {
  const { HOST, AUTH } = config
  if (isProtected(config) || AUTH === 'off' || isLoopback(HOST)) return
  throw new ConfigError(
    `HOST=${HOST} lets others in, and no key is set: make one with "aklp-task-server key --name NAME" and put it into API_KEYS, or set AUTH=off where everybody on the network is trusted`,
  )
}
