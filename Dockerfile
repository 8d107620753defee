# syntax=docker/dockerfile:1

# Debian, not Alpine: the file lock of the embedded database has no build for musl.
FROM node:24-slim AS build
WORKDIR /src
# Before the sources, so that a change of the sources does not invalidate the layer of the dependencies.
COPY package.json pnpm-lock.yaml pnpm-workspace.yaml ./
COPY patches patches
COPY packages/client/package.json packages/client/
COPY packages/mcp/package.json packages/mcp/
COPY packages/server/package.json packages/server/
COPY packages/web/package.json packages/web/
RUN npx --yes pnpm@12 install --frozen-lockfile --filter @aklp/task-server... --filter @aklp/task-web
COPY tsconfig.base.json ./
COPY packages/client packages/client
COPY packages/mcp packages/mcp
COPY packages/server packages/server
COPY packages/web packages/web
RUN node_modules/.bin/tsc -b packages/server \
  && node_modules/.bin/tsx packages/server/scripts/bundle.ts \
  && node_modules/.bin/tsx packages/server/scripts/make-template.ts \
  && node_modules/.bin/tsx packages/web/scripts/build.ts \
  && npx --yes pnpm@12 --filter @aklp/task-server deploy --prod /app

FROM node:24-slim
COPY --from=build /app /app
# The embedded database, used without DATABASE_URL. Mount a volume here to keep it. Nothing else is written.
RUN install --directory --owner=node --group=node /data
WORKDIR /data
# The user node, as numbers: runAsNonRoot of Kubernetes cannot verify a user name.
USER 1000:1000
ENV HOST=0.0.0.0
EXPOSE 8001
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --start-interval=1s \
  CMD ["node", "-e", "fetch(`http://127.0.0.1:${process.env.PORT || 8001}/readyz`).then(({ ok }) => process.exit(ok ? 0 : 1), () => process.exit(1))"]
# Exec form: node receives the signals directly, not a shell.
ENTRYPOINT ["node", "/app/dist/start/cli.js"]
