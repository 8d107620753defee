# syntax=docker/dockerfile:1

# Debian and not Alpine: the lock on the folder of the embedded database is not built for musl.
FROM node:24-slim AS build
WORKDIR /src
# What decides on the dependencies comes first: a change of the source does not install them anew.
COPY package.json pnpm-lock.yaml pnpm-workspace.yaml ./
COPY patches patches
COPY packages/server/package.json packages/server/
RUN npx --yes pnpm@12 install --frozen-lockfile --filter @aklp/task-server
COPY tsconfig.base.json ./
COPY packages/server packages/server
RUN node_modules/.bin/tsx packages/server/scripts/vendor-postgres.ts \
  && node_modules/.bin/tsc -b packages/server \
  && npx --yes pnpm@12 --filter @aklp/task-server deploy --prod /app

FROM node:24-slim
COPY --from=build /app /app
# The one folder that the service writes to, and only without DATABASE_URL: mount a volume here then.
RUN install --directory --owner=node --group=node /data
WORKDIR /data
# The user node, as numbers: Kubernetes does not believe a name to be another than root.
USER 1000:1000
ENV HOST=0.0.0.0
EXPOSE 8001
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --start-interval=1s \
  CMD ["node", "-e", "fetch(`http://127.0.0.1:${process.env.PORT || 8001}/readyz`).then(({ ok }) => process.exit(ok ? 0 : 1), () => process.exit(1))"]
# As a list, so that no shell stands between the signals and node.
ENTRYPOINT ["node", "/app/dist/start/cli.js"]
