export * from '../../src/tools.js'
