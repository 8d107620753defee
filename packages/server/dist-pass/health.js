import { Type } from '@sinclair/typebox';
import { JSON_TYPE } from './json.js';
import { answer, OneOf, ref } from './schemas.js';
import { version } from './version.js';
export const Health = Type.Object({
    status: OneOf(['healthy', 'degraded'], {
        description: '`healthy`, or `degraded` while the database cannot be asked.',
        examples: ['healthy'],
    }),
    version: Type.String({ description: 'The version of the service.', examples: ['1.0.0'] }),
    database: OneOf(['healthy', 'unhealthy'], {
        description: 'Whether the database answers.',
        examples: ['healthy'],
    }),
}, { $id: 'Health', description: 'How the service is.' });
/** `ping` asks the database, and fails when no answer comes in time. */
export const healthRoutes = async (app, { ping }) => {
    app.get('/health', {
        schema: {
            operationId: 'getHealth',
            tags: ['health'],
            summary: 'Get the health of the service',
            description: 'Always answers 200 while the process runs; the body says whether the database works.',
            response: { 200: answer('How the service is.', ref(Health)) },
        },
    }, async (_request, reply) => {
        const reachable = await ping().then(() => true, () => false);
        const health = reachable
            ? { status: 'healthy', version, database: 'healthy' }
            : { status: 'degraded', version, database: 'unhealthy' };
        reply.type(JSON_TYPE);
        return JSON.stringify(health);
    });
};
//# sourceMappingURL=health.js.map