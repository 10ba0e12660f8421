# The image that runs in a cluster, made of the package (`make deb`):
#
#   cp target/debian/jiyue_*_amd64.deb FOLDER/jiyue.deb
#   docker build --build-arg BASE=DEBIAN -t NAME:0.1.0 -f Dockerfile FOLDER      (podman build, buildah bud: the same)
#
# DEBIAN is a small Debian 12 or 13 image, the same release as the one that the package was compiled on, from wherever you
# get your images. scripts/image.sh does all of it without any registry.
ARG BASE

FROM ${BASE} AS system
RUN apt-get update \
 && DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends ca-certificates libvirt0 \
 && rm -rf /var/lib/apt/lists/* /var/cache/apt /var/cache/debconf/*-old /var/log/apt /var/log/dpkg.log
# The number that manifests/ say: a volume's files stay the broker's own from one image to the next.
RUN groupadd --gid 10001 jiyue \
 && useradd --uid 10001 --gid jiyue --no-create-home --home-dir /var/lib/jiyue --shell /usr/sbin/nologin jiyue \
 && install --directory --owner=jiyue --group=jiyue --mode=0750 /var/lib/jiyue

FROM ${BASE} AS package
COPY jiyue.deb /
# Only its files: the package's account has no fixed number, and its unit and pages mean nothing in a container.
RUN dpkg-deb --extract /jiyue.deb /unpacked

FROM system
COPY --from=package /unpacked/usr/bin/jiyue /usr/bin/jiyue
COPY --from=package /unpacked/etc/jiyue/jiyue.toml /usr/share/doc/jiyue/jiyue.toml
# A library that is missing shows here, and not in the cluster.
RUN /usr/bin/jiyue --version
USER 10001:10001
EXPOSE 8460
STOPSIGNAL SIGTERM
ENTRYPOINT ["/usr/bin/jiyue"]
CMD ["serve", "--config", "/etc/jiyue/jiyue.toml"]
