import { ApiError } from './errors.js';
/**
 * Answers a request that is not finished in time, database included. Fastify's own `handlerTimeout` forgets the time
 * once a body has been read.
 */
export function boundRequests(app, milliseconds) {
    app.addHook('onRequest', (request, reply, done) => {
        const late = setTimeout(() => {
            if (reply.sent)
                return;
            const arrived = request.raw.complete !== false;
            reply.send(arrived
                ? new ApiError('timeout')
                : new ApiError('request_timeout', undefined, { connection: 'close' }));
            // What the handler still brings is for nobody.
            reply.hijack();
        }, milliseconds);
        reply.raw.once('close', () => clearTimeout(late));
        done();
    });
}
/** At shutdown, connections end with the answer in flight on them, and those on which nothing was asked yet at once. */
export function closePromptly(app) {
    let closing = false;
    const silent = new Set();
    app.server.on('connection', (socket) => {
        silent.add(socket);
        socket.once('close', () => silent.delete(socket));
    });
    app.server.on('request', ({ socket }) => silent.delete(socket));
    app.addHook('preClose', async () => {
        closing = true;
        for (const socket of silent)
            socket.destroy();
    });
    app.addHook('onSend', (_request, reply, payload, done) => {
        if (closing)
            reply.header('connection', 'close');
        done(null, payload);
    });
}
//# sourceMappingURL=lifecycle.js.map