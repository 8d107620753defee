/**
 * The generator on a contract that is not ours. After a change of the generator or of golden/contract.json, update the
 * expected files, and review the diff before you commit it:
 *
 *     cd packages/client && npx tsx scripts/generate.ts test/golden/contract.json test/golden/generated
 *
 * The expected files are compiled by `tsc -p tsconfig.check.json`; the modules next to `generated` resolve their imports.
 */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { run } from '../../server/test/process.js'
import { writeOperations } from '../scripts/operations.js'
import { readContract } from '../scripts/read.js'
import { writeInputs } from '../scripts/tools.js'
import { writeTypes } from '../scripts/types.js'

const client = fileURLToPath(new URL('..', import.meta.url))
const golden = join(client, 'test/golden')
const document = JSON.parse(readFileSync(join(golden, 'contract.json'), 'utf8'))

/** The contract of the library, after a change. */
function changed(change: (document: any) => void) {
  const copy = structuredClone(document)
  change(copy)
  return readContract(copy)
}

t.test('a contract about books generates the files in golden/generated', async (t) => {
  const folder = t.testdir()
  await run(join(client, '../../node_modules/.bin/tsx'), [
    join(client, 'scripts/generate.ts'),
    join(golden, 'contract.json'),
    folder,
  ])
  for (const name of ['schema.ts', 'operations.ts', 'tools.ts']) {
    const generated = readFileSync(join(folder, name), 'utf8')
    t.equal(generated, readFileSync(join(golden, 'generated', name), 'utf8'), name)
    t.notMatch(generated, /task|batch/i, 'nothing of our own contract')
  }
})

t.test('the document is not changed', async (t) => {
  const contract = changed(() => {})
  await writeTypes(contract)
  writeOperations(contract)
  writeInputs(contract)
  t.same(contract.document, document)
})

t.test('an alias of another operation is no method', (t) => {
  const contract = changed(() => {})
  t.ok(document.paths['/v1/books/{book_id}'].put['x-alias-of'])
  t.notMatch(writeOperations(contract) + writeInputs(contract), /replace(?:Book)?\b/)
  t.match(
    writeOperations(changed(({ paths }) => delete paths['/v1/books/{book_id}'].put['x-alias-of'])),
    'replace: (',
  )
  t.end()
})

t.test('an operation without an operationId or a tag is rejected', (t) => {
  for (const change of [
    (operation: any) => delete operation.operationId,
    (operation: any) => operation.tags.pop(),
  ]) {
    t.throws(() => changed(({ paths }) => change(paths['/v1/books'].post)), {
      message: 'POST /v1/books needs an operationId and a tag',
    })
  }
  t.end()
})

t.test('two operations with the same method name are rejected', (t) => {
  const contract = changed(({ paths }) => {
    paths['/v1/books/{book_id}'].get.operationId = 'listBook'
  })
  t.throws(() => writeOperations(contract), {
    message: 'Two operations are named books.list. Give one of them a different operationId.',
  })
  t.end()
})

t.test('a schema with date-time fields that is used in requests and responses is rejected', async (t) => {
  const contract = changed(({ components }) => {
    components.requestBodies.NewBook.content['application/json'].schema.$ref = '#/components/schemas/Book'
  })
  await t.rejects(writeTypes(contract), {
    message: 'Book has date-time fields and is used in requests and responses. Use two schemas.',
  })
})

t.test('an operation with query parameters and a body is rejected', (t) => {
  const inQuery = { name: 'notify', in: 'query', schema: { type: 'boolean' } }
  t.throws(() => changed(({ paths }) => paths['/v1/books'].post.parameters.push(inQuery)), {
    message: 'createBook has query parameters and a body. Use one of them.',
  })
  t.end()
})
