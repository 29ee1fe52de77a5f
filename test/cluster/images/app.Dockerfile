# Applications for the journeys: servers and clients that know nothing of a mesh.
FROM node:26.10.0-bookworm-slim
RUN apt-get update \
 && apt-get install -y --no-install-recommends \
      bind9-dnsutils curl iproute2 netcat-openbsd postgresql procps redis-server redis-tools \
 && rm -rf /var/lib/apt/lists/* /var/cache/apt/* /var/log/apt /var/log/dpkg.log
ENV PATH=/usr/lib/postgresql/15/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
WORKDIR /app
COPY package.json package-lock.json ./
RUN npm ci --omit=dev --omit=optional --ignore-scripts --no-audit --no-fund
COPY test/cluster/app .
CMD ["sleep", "infinity"]
