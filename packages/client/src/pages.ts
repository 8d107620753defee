/** Lists, from their first page to their last. */

interface Page<Item> {
  items: Item[]
  has_next: boolean
}

/**
 * Goes through the items of all pages. Every page is read before the first item is handed out: a loop that
 * completes the pending tasks it goes through would otherwise move the later ones to pages it has already read.
 */
export async function* eachItem<Item extends { id: string }>(
  read: (page: number) => Promise<Page<Item>>,
): AsyncGenerator<Item, void, undefined> {
  // By id, since an item moves to a later page when another one is added before it meanwhile.
  const items = new Map<string, Item>()
  for (let page = 1, more = true; more; page++) {
    const { items: found, has_next } = await read(page)
    for (const item of found) items.set(item.id, item)
    more = has_next
  }
  yield* items.values()
}
