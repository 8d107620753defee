/** Iteration over the pages of a list. */

interface Page<Item> {
  items: Item[]
  has_next: boolean
}

/**
 * Yields the items of all pages. All pages are read before the first item is yielded: a loop that completes pending
 * tasks would otherwise move later tasks to pages that were already read.
 */
export async function* eachItem<Item extends { id: string }>(
  read: (page: number) => Promise<Page<Item>>,
): AsyncGenerator<Item, void, undefined> {
  // By id: an item moves to a later page, and is read again, when another one is inserted before it.
  const items = new Map<string, Item>()
  for (let page = 1, more = true; more; page++) {
    const { items: found, has_next } = await read(page)
    for (const item of found) items.set(item.id, item)
    more = has_next
  }
  yield* items.values()
}
