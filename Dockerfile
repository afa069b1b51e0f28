# One image for every role: docker run IMAGE gateway|scheduler|health-monitor|demo-backend|evenkeel …
# Nothing is compiled: Node runs the TypeScript as it is.

# Only the manifests, so that the layer of dependencies is rebuilt when one of them changes and at no other time.
FROM node:26-bookworm-slim AS manifests
WORKDIR /app
COPY package.json package-lock.json ./
COPY libs libs
COPY services services
RUN find libs services -mindepth 2 -maxdepth 2 ! -name package.json -exec rm -rf {} +

# The packages `node-…` bring the runtime to hosts; this image has it already.
FROM node:26-bookworm-slim AS dependencies
WORKDIR /app
COPY --from=manifests /app ./
RUN npm ci --omit=dev --ignore-scripts --no-audit --no-fund \
  && rm -rf node_modules/node-linux-* node_modules/.bin/node

FROM node:26-bookworm-slim
LABEL org.opencontainers.image.title="Evenkeel" \
  org.opencontainers.image.licenses="MIT"
ENV NODE_ENV=production \
  EVENKEEL_ADMIN_ADDRESS=0.0.0.0 \
  EVENKEEL_ADMIN_PORT=7700
WORKDIR /app
COPY --from=dependencies /app ./
COPY docker/entrypoint.sh docker/healthcheck.js docker/
COPY libs libs
COPY services services
USER node
EXPOSE 7700 8080
# Whether the process lives. Whether to send it work is /readyz, which a rollout should ask instead.
HEALTHCHECK --interval=10s --timeout=3s --start-period=20s --retries=3 CMD ["node", "docker/healthcheck.js", "/healthz"]
ENTRYPOINT ["/bin/sh", "docker/entrypoint.sh"]
CMD ["gateway"]
