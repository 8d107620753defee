/** JSON on its way from the database to the answer. */
/** How an answer that is such JSON is declared. */
export const JSON_TYPE = 'application/json; charset=utf-8';
/** An array of values. */
export const jsonArray = (items) => `[${items.join(',')}]`;
/** The page around some items, from what was asked for and the total. */
export function pageOf({ items, total }, { page, limit }) {
    const total_pages = Math.ceil(total / limit);
    const place = { total, page, limit, total_pages, has_next: page < total_pages, has_prev: page > 1 };
    return `{"items":${items},${JSON.stringify(place).slice(1)}`;
}
//# sourceMappingURL=json.js.map