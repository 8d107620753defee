import { Ajv } from 'ajv';
import { toTimestamp } from './schemas.js';
import { suggest } from './suggest.js';
const formats = {
    uuid: /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i,
    'date-time': { type: 'string', validate: (text) => toTimestamp(text) !== undefined },
    'idempotency-key': /^(?:[\x21\x23-\x7e][\x21-\x7e]{0,254}|"(?:[\x21\x23-\x5b\x5d-\x7e]|\\["\\]){1,255}")$/,
    'entity-tags': /^ *(?:\*|(?:W\/)?"[^"]*"(?: *, *(?:W\/)?"[^"]*")*) *$/,
    text: { type: 'string', validate: (text) => text.isWellFormed() && !text.includes('\0') },
};
/** A compiler of schemas, to which the named components are known. */
export function createCompiler(components) {
    const ajv = new Ajv({
        allErrors: true,
        verbose: true, // errors carry the schema and the value, which the messages name
        useDefaults: true,
        allowUnionTypes: true,
        strict: true,
        strictTypes: false,
        formats,
        schemas: components,
    });
    return (schema) => ajv.compile(schema);
}
/** Reads the whole numbers of a query in place; what is no plain number is left for the check to refuse. */
export function readIntegers(schema, query) {
    for (const [name, property] of Object.entries(schema.properties)) {
        const value = query[name];
        if (property.type === 'integer' && typeof value === 'string' && /^-?\d{1,15}$/.test(value))
            query[name] = Number(value);
    }
}
/**
 * What failed checks found: the first `most` places, a mistake each, and how many places there are. A request may be
 * wrong in half a million places: only those that are told are looked into.
 */
export function explain(errors, most) {
    const told = [];
    let count = 0;
    let previous;
    for (const error of errors) {
        // What is wrong with one place stands together.
        const again = error.instancePath === previous?.instancePath && nameOf(error) === nameOf(previous);
        previous = error;
        if (!again) {
            count++;
            if (told.length < most)
                told.push(error);
        }
        else if (error.keyword === 'enum' && count === told.length) {
            // Where a value has the wrong type and is not in the enum either, the enum says more.
            told[count - 1] = error;
        }
    }
    return { mistakes: told.map((error) => ({ path: placeOf(error), ...describe(error) })), count };
}
/** The name that an error is about, where it is about one that is there or missing. */
const nameOf = ({ params }) => params.additionalProperty ?? params.missingProperty;
/** Where an error is, the name included: `tasks[3].title` for `/tasks/3/title`. Only known names stand before the last. */
function placeOf(error) {
    const path = error.instancePath
        .slice(1)
        .replace(/\/?\b(\d+)\b/g, '[$1]')
        .replaceAll('/', '.');
    const name = nameOf(error);
    if (name === undefined)
        return path;
    return path ? `${path}.${shorten(name)}` : shorten(name);
}
/** What is wrong, as the end of a sentence that begins with the place. */
function describe({ keyword, params, data, parentSchema = {} }) {
    const { minimum, maximum, minItems, maxItems, properties } = parentSchema;
    switch (keyword) {
        case 'additionalProperties': {
            const names = Object.keys(properties);
            return {
                message: `is not known; known: ${names.join(', ') || 'none'}`,
                ...among(params.additionalProperty, names),
            };
        }
        case 'required':
            return { message: 'is required' };
        case 'enum':
            return { message: `must be ${list(params.allowedValues)}`, ...among(data, params.allowedValues) };
        case 'type':
            if (params.type === 'integer')
                return { message: `must be a whole number from ${minimum} to ${maximum}` };
            return { message: `must be ${list([params.type].flat().map(article))}, not ${kind(data)}` };
        case 'minimum':
        case 'maximum':
            return { message: `must be a whole number from ${minimum} to ${maximum}` };
        case 'format':
            return { message: formatMessages[params.format] };
        case 'pattern':
            return { message: 'must not be blank' };
        case 'minLength':
            return { message: 'must not be empty' };
        case 'maxLength':
            return { message: `must have at most ${params.limit} characters, has ${[...data].length}` };
        case 'minItems':
        case 'maxItems':
            return { message: `must have ${minItems} to ${maxItems} items, has ${data.length}` };
        default:
            throw new Error(`no message for the keyword ${keyword}`);
    }
}
const formatMessages = {
    uuid: 'must be a UUID such as 550e8400-e29b-41d4-a716-446655440001',
    'date-time': 'must be a time such as 2025-12-31T09:00:00Z or 2025-12-31T18:00:00+09:00, or a date such as 2025-12-31, that exists',
    'idempotency-key': 'must be 1 to 255 visible ASCII characters without blanks',
    'entity-tags': 'must be the updated_at of the task in double quotes, such as "2025-12-06T10:00:00.000Z", or *',
    text: 'must not contain NUL characters or unpaired surrogates',
};
function among(given, allowed) {
    const names = allowed.filter((name) => name !== null);
    const did_you_mean = typeof given === 'string' ? suggest(given, names) : undefined;
    return { allowed, ...(did_you_mean && { did_you_mean }) };
}
const shorten = (name) => (name.length > 100 ? `${name.slice(0, 100)}…` : name);
const list = (values) => {
    const words = values.map(String);
    const last = words.pop();
    return words.length > 0 ? `${words.join(', ')} or ${last}` : `${last}`;
};
const article = (type) => type === 'null' ? 'null' : /^[aeio]/.test(type) ? `an ${type}` : `a ${type}`;
const kind = (value) => value === null ? 'null' : article(Array.isArray(value) ? 'array' : typeof value);
//# sourceMappingURL=validation.js.map