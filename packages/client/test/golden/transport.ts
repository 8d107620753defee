export * from '../../src/transport.js'
