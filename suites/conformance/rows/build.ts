import type { Row } from '../row.ts'
import { buildRow, SERVE, SHOW_CONFIG, SHOW_HISTORY, showFiles } from './build-row.ts'

/** Every instruction of a Dockerfile. */
export const buildRows: readonly Row[] = [
  buildRow({
    name: 'build: instructions that change the configuration',
    dockerfile: `FROM busybox
MAINTAINER somebody <a@b.example>
LABEL one=1 "two words"="a b" three='it is'
LABEL old style
ENV A=1 B="two words" C=$A-\${A:-x}-\${D:-dflt}-\${A:+set}
ENV OLD the old way
EXPOSE 80 53/udp 8000-8002/tcp
VOLUME /data
VOLUME ["/more", "/other dir"]
USER 1000:1000
STOPSIGNAL SIGQUIT
SHELL ["/bin/sh", "-ec"]
CMD echo shell $A
ENTRYPOINT ["/bin/sh", "-c", "echo exec"]
CMD ["one", "two"]
HEALTHCHECK --interval=5s --timeout=1m30s --start-period=100ms --retries=4 CMD test -e /ok
ONBUILD RUN echo triggered
ONBUILD COPY . /there/`,
    then: `${SHOW_CONFIG}; ${SHOW_HISTORY}`,
    shows: /"StopSignal": "SIGQUIT"/,
  }),
  buildRow({
    name: 'build: WORKDIR makes its folder, and is relative to the one before',
    dockerfile: `FROM busybox
WORKDIR /a
WORKDIR b/c
RUN pwd
ENV WHERE=/from/env
USER 1000
WORKDIR $WHERE
RUN pwd; stat -c '%u %a' .`,
    then: `${SHOW_CONFIG}; ${SHOW_HISTORY}`,
    shows: /^\/from\/env$/m,
  }),
  buildRow({
    name: 'build: RUN as a list, in a shell, over lines, and what it may write',
    dockerfile: `FROM busybox
RUN ["echo", "$HOME", "a  b"]
RUN echo "$HOME" 'a  b' \\
  # between the lines
  && echo next
RUN echo to-stderr >&2
SHELL ["/bin/sh", "-ec"]
RUN echo in another shell
USER user
RUN id -un 2>&1 && echo mine > /tmp/mine && stat -c '%U %a' /tmp/mine
# the last
RUN cat /tmp/mine`,
    then: SHOW_HISTORY,
    shows: /^mine$/m,
  }),
  buildRow({
    name: 'build: what RUN changes is what the image has',
    dockerfile: `FROM layered
RUN rm /l/kept && rm -r /l/opaque && mkdir /l/opaque && echo new > /l/opaque/new && chmod 600 /l/changed
RUN ln -s kept /l/dangling && ln /l/hard-a /l/hard-c && mkfifo /l/pipe && chown 7:8 /l/changed && rm -r /l/tree; true`,
    then: `${SHOW_HISTORY}; ${showFiles('/l')} | grep -v long`,
    shows: /opaque\/new/,
  }),
  buildRow({
    name: 'build: COPY of files and folders',
    dockerfile: `FROM busybox
COPY a /file
COPY a b /folder/
COPY d /whole
COPY d/. /dotted/
COPY d/*.t[x]t /wild/
COPY a /tmp
COPY ./a deep/er/a
WORKDIR /here
COPY a b ./
COPY ["with space", "/x/with space"]
COPY link /linked
COPY dirlink /dirlinked`,
    prepare: `echo a > c/a; echo bb > c/b; chmod 640 c/b; mkdir -p c/d/sub; echo s > c/d/sub/s; echo t > c/d/t.txt; chmod 700 c/d/sub; echo w > 'c/with space'; ln -s a c/link; ln -s d c/dirlink; ln -s ../a c/d/rel; ln -s /nowhere c/d/dangling`,
    then: `${showFiles('/file', '/folder', '/whole', '/dotted', '/wild', '/tmp', '/deep', '/here', '"/x"', '/linked', '/dirlinked')}; ${SHOW_HISTORY}`,
    shows: /sub\/s/,
  }),
  buildRow({
    name: 'build: COPY --chown by names and numbers',
    dockerfile: `FROM busybox
COPY --chown=user a /one/
COPY --chown=daemon:audio d /two
COPY --chown=7:8 d /three/
COPY --chown=9 a /four
ADD --chown=user:nogroup a /five/
USER user
COPY a /six/`,
    prepare: `echo a > c/a; mkdir -p c/d/sub; echo s > c/d/sub/s`,
    then: `${showFiles('/one', '/two', '/three', '/four', '/five', '/six')}; ${SHOW_HISTORY}`,
    shows: /1:29 \/two\/sub\/s/,
  }),
  buildRow({
    name: 'build: COPY --from a stage, its number, and an image',
    dockerfile: `FROM busybox AS first
RUN mkdir /out && echo one > /out/f && ln -s f /out/l && ln -s /out /outlink
FROM scratch
COPY --from=first /out /by-name/
FROM busybox
COPY --from=0 /out/f /by-number
COPY --from=1 / /second/
COPY --from=layered /l/changed /l/link /from-image/
COPY --from=FIRST /outlink/ /through-link/
RUN cat /by-number /second/by-name/l /from-image/changed`,
    then: `${showFiles('/by-number', '/second', '/from-image', '/through-link')}; ${SHOW_HISTORY}`,
    shows: /^one\none\nafter$/m,
  }),
  buildRow({
    name: 'build: ADD unpacks what is a local archive',
    dockerfile: `FROM busybox
ADD t.tar /plain/
ADD t.tar.gz /gz/
ADD t.tar.bz2 /bz2/
ADD t.tar.xz /xz
ADD t.tar.gz u.tar /both/
ADD fake.tar /fake/
ADD one.gz /gzfile/
ADD d /d
COPY t.tar /copied/`,
    prepare: `mkdir -p t/sub c/d; echo x > t/x; echo y > t/sub/y; chmod 750 t/sub; tar -C t --owner=5 --group=6 -cf c/t.tar .; tar -C t --owner=5 --group=6 -czf c/t.tar.gz x sub; tar -C t -cjf c/t.tar.bz2 x; tar -C t -cJf c/t.tar.xz x; tar -C t --transform s/x/z/ -cf c/u.tar x; echo no > c/fake.tar; gzip -nc t/x > c/one.gz; echo d > c/d/d`,
    then: `${showFiles('/plain', '/gz', '/bz2', '/xz', '/both', '/fake', '/gzfile', '/d', '/copied')}; ${SHOW_HISTORY}`,
    shows: /5:6 \/plain\/sub\/y/,
  }),
  buildRow({
    name: 'build: ADD of a URL',
    dockerfile: `FROM busybox
ADD http://127.0.0.1:8099/f /one
ADD http://127.0.0.1:8099/f http://127.0.0.1:8099/t.tar.gz /two/
RUN cat /one; stat -c '%a %u:%g %n' /one /two/*`,
    prepare: `mkdir www; echo served > www/f; touch -d 2020-01-02T03:04:05Z www/f; tar -czf www/t.tar.gz www/f; ${SERVE}`,
    then: `docker run --rm built stat -c %y /one; ${SHOW_HISTORY}`,
    shows: /^served$/m,
    normalise: [
      [/^Downloading.*\n/gm, ''],
      [/\r/g, '\n'],
      [/^\n/gm, ''],
    ],
  }),
  buildRow({
    name: 'build: ADD of a URL that is not there',
    dockerfile: `FROM busybox\nADD http://127.0.0.1:8099/nosuch /one`,
    prepare: `mkdir www; ${SERVE}`,
    code: 1,
    shows: /404/,
  }),
  buildRow({
    name: 'build: ARG before FROM, with defaults, and in stages',
    dockerfile: `ARG BASE=nosuch
ARG LATE
FROM \${BASE} AS one
ARG LATE
ARG OWN=own
ARG BOTH=$OWN-\${LATE}
RUN echo "[$BASE] [$LATE] [$OWN] [$BOTH]"
ENV OWN=env
RUN echo "[$OWN]"
FROM one
RUN echo "[$LATE] [$OWN]"
ARG OWN
RUN echo "[$OWN]"`,
    options: `--build-arg BASE=busybox --build-arg LATE=late --build-arg UNUSED=1 --build-arg OWN=given`,
    shows: /^\[\] \[late\] \[given\] \[given-late\]$/m,
  }),
  buildRow({
    name: 'build: ARG from the environment of the client, and proxies without a declaration',
    dockerfile: `FROM busybox\nARG FROM_ENV\nARG NOT_SET=default\nRUN echo "[$FROM_ENV] [$NOT_SET] [$http_proxy]"`,
    prepare: `export FROM_ENV=seen`,
    options: `--build-arg FROM_ENV --build-arg NOT_SET --build-arg http_proxy=http://127.0.0.1:1`,
    shows: /^\[seen\] \[default\] \[http:\/\/127\.0\.0\.1:1\]$/m,
  }),
  buildRow({
    name: 'build: ONBUILD of the base is carried out',
    prepare: `mkdir base; printf 'FROM busybox\\nONBUILD COPY f /f\\nONBUILD RUN cat /f\\nONBUILD ENV T=1\\n' > base/Dockerfile; docker build -qt trigger base >/dev/null; echo from-child > c/f; printf 'FROM trigger\\nRUN echo $T\\n' > c/Dockerfile`,
    then: `${SHOW_CONFIG}; ${SHOW_HISTORY}`,
    shows: /# Executing 3 build triggers/,
  }),
  buildRow({
    name: 'build: HEALTHCHECK NONE, and one over another',
    dockerfile: `FROM healthy\nHEALTHCHECK CMD ["true"]\nHEALTHCHECK --retries=3 CMD true\nHEALTHCHECK NONE`,
    then: `${SHOW_CONFIG}; ${SHOW_HISTORY}`,
    shows: /overriding previous HEALTHCHECK/,
  }),
  buildRow({
    name: 'build: what is written below a VOLUME is lost when the container ends',
    dockerfile: `FROM busybox\nRUN mkdir /v && echo before > /v/before\nVOLUME /v\nRUN echo after > /v/after; ls /v\nRUN ls /v\nCOPY f /v/f`,
    prepare: `echo f > c/f`,
    then: `docker run --rm built ls /v`,
    shows: /^before$/m,
  }),
  buildRow({
    name: 'build: FROM scratch',
    dockerfile: `FROM scratch\nCOPY f /f\nENV A=1\nCMD ["/f"]`,
    prepare: `echo f > c/f`,
    then: `${SHOW_CONFIG}; ${SHOW_HISTORY}; id=$(docker create built); docker export $id | tar -tf - | grep -v -E '^(dev|etc|proc|sys|.dockerenv|./$)'`,
    shows: /^f$/m,
  }),
  buildRow({
    name: 'build: parser directives, comments, continuations, capitals',
    dockerfile: `# escape=\`
# just a comment

from busybox as Named
run echo one \`
    # not this

  two
Env A=\`$x B="a \`" b"
RUN echo "$A" "$B"
FROM named
CMD ["echo", "done"]`,
    then: SHOW_CONFIG,
    shows: /^one two$/m,
  }),
  buildRow({
    name: 'build: CMD and ENTRYPOINT of the base, overridden',
    dockerfile: `FROM configured AS keeps\nENV X=1\nFROM configured\nENTRYPOINT ["sh", "-c"]`,
    then: `${SHOW_CONFIG}; docker build -q -t built --target keeps c >/dev/null; ${SHOW_CONFIG}`,
    shows: /"\/bin\/entry"/,
  }),
]
