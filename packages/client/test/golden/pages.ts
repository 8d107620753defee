export * from '../../src/pages.js'
