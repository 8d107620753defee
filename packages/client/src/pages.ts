/** Lists: their pages, and the types of items of which only some fields are wanted. */

/** An input without what is sent in its place, such as the session_id of a session. */
export type Without<Input, Name extends string> = [Name] extends [never] ? Input : Omit<Input, Name>

/** A response, whose items of one type have only some fields; `id` is always among them. */
export type Chosen<Response, Item, Field extends keyof Item> = [keyof Item] extends [Field]
  ? Response
  : Response extends Item
    ? Pick<Response, Extract<Field | 'id', keyof Response>>
    : {
        [Name in keyof Response]: Response[Name] extends Item[]
          ? Chosen<Item, Item, Field>[]
          : Item extends Response[Name]
            ? Chosen<Item, Item, Field> | Exclude<Response[Name], Item>
            : Response[Name]
      }

interface Page<Item> {
  items: Item[]
  next_cursor?: string | null
  /** The same of events, which has a value as long as there may be later ones. */
  next?: string | null
}

/**
 * Yields the items of all pages. Holds one page at a time.
 *
 * @param name The query parameter that names where a page begins.
 */
export async function* eachItem<Item>(
  name: string,
  read: (next: Record<string, string>) => Promise<Page<Item>>,
): AsyncGenerator<Item, void, undefined> {
  for (let next: string | null | undefined, more = true; more; ) {
    const page = await read(next ? { [name]: next } : {})
    yield* page.items
    next = page.next_cursor ?? page.next
    more = next != null && page.items.length > 0
  }
}
