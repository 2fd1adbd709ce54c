"""What programs do with docker-py. Run by docker-py.test.ts with Debian's python3-docker, with DOCKER_HOST set."""

import io
import os
import tarfile
import threading
import unittest

import docker
from docker.errors import APIError, ContainerError, ImageNotFound, NotFound

IMAGE = os.environ["REGISTRY"] + "/busybox"
client = docker.from_env(timeout=60)


def setUpModule():
    client.images.pull(IMAGE, tag="latest")


def tearDownModule():
    for container in client.containers.list(all=True):
        container.remove(force=True, v=True)


def sleeper(**more):
    return client.containers.run(IMAGE, ["sleep", "600"], detach=True, **more)


class DockerPy(unittest.TestCase):
    def test_run_gives_the_output(self):
        self.assertEqual(client.containers.run(IMAGE, ["echo", "hello"], remove=True), b"hello\n")
        both = client.containers.run(IMAGE, ["sh", "-c", "echo a; echo b >&2"], remove=True, stderr=True)
        self.assertEqual(sorted(both.split()), [b"a", b"b"])

    def test_run_that_fails_raises(self):
        with self.assertRaises(ContainerError) as caught:
            client.containers.run(IMAGE, ["sh", "-c", "echo why >&2; exit 4"], remove=True)
        self.assertEqual(caught.exception.exit_status, 4)
        self.assertIn(b"why", caught.exception.stderr)

    def test_exec_with_demux(self):
        container = sleeper()
        for _ in range(10):  # what comes at once with the headers must not be lost
            code, output = container.exec_run(["sh", "-c", "echo out; echo err >&2; exit 3"], demux=True)
            self.assertEqual((code, output), (3, (b"out\n", b"err\n")))
        code, output = container.exec_run(["id", "-u"], user="1000", environment={"A": "b"}, workdir="/tmp")
        self.assertEqual((code, output), (0, b"1000\n"))
        stream = container.exec_run(["sh", "-c", "for i in 1 2 3; do echo $i; done"], stream=True).output
        self.assertEqual(b"".join(stream), b"1\n2\n3\n")

    def test_logs_as_a_stream(self):
        script = "for i in 1 2 3; do echo line $i; sleep 0.1; done"
        container = client.containers.run(IMAGE, ["sh", "-c", script], detach=True)
        self.assertEqual(b"".join(container.logs(stream=True, follow=True)), b"line 1\nline 2\nline 3\n")
        self.assertEqual(container.logs(tail=1), b"line 3\n")
        self.assertRegex(container.logs(timestamps=True, tail=1).decode(), r"^\d{4}-\S+Z line 3\n$")

    def test_attach(self):
        container = client.containers.create(IMAGE, ["sh", "-c", "echo first; echo second"])
        stream = container.attach(stream=True, logs=True)
        container.start()
        self.assertEqual(b"".join(stream), b"first\nsecond\n")

    def test_attach_socket_carries_input(self):
        container = client.containers.create(IMAGE, ["cat"], stdin_open=True, tty=True)
        container.start()
        sock = container.attach_socket(params={"stdin": 1, "stdout": 1, "stream": 1})._sock
        sock.sendall(b"typed\n")
        seen = b""
        while seen.count(b"typed") < 2:  # the terminal's echo, then cat's
            seen += sock.recv(100)
        sock.close()
        container.remove(force=True)

    def test_archives(self):
        container = sleeper()
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w") as tar:
            info = tarfile.TarInfo("note.txt")
            info.size, info.mode, info.uid = 5, 0o640, 12
            tar.addfile(info, io.BytesIO(b"words"))
        self.assertTrue(container.put_archive("/tmp", buffer.getvalue()))
        chunks, stat = container.get_archive("/tmp/note.txt")
        self.assertEqual((stat["name"], stat["size"]), ("note.txt", 5))
        with tarfile.open(fileobj=io.BytesIO(b"".join(chunks))) as tar:
            member = tar.getmember("note.txt")
            self.assertEqual((member.mode, member.uid), (0o640, 12))
            self.assertEqual(tar.extractfile(member).read(), b"words")
        with self.assertRaises(NotFound):
            container.get_archive("/no/such")

    def test_life(self):
        container = sleeper(name="py-life", init=True, labels={"of": "py"}, mem_limit="32m")
        self.assertEqual([c.name for c in client.containers.list(filters={"label": "of=py"})], ["py-life"])
        self.assertEqual(container.attrs["HostConfig"]["Memory"], 32 << 20)
        container.pause()
        container.reload()
        self.assertEqual(container.status, "paused")
        container.unpause()
        container.rename("py-other")
        container.restart(timeout=60)
        self.assertIn("sleep 600", " ".join(sum(container.top()["Processes"], [])))
        self.assertIn({"Path": "/made", "Kind": 1}, self.changed(container))
        container.stop(timeout=60)
        self.assertEqual(container.wait()["StatusCode"], 143)
        container.start()
        container.kill()
        self.assertEqual(container.wait()["StatusCode"], 137)
        container.remove()
        with self.assertRaises(NotFound):
            client.containers.get("py-other")

    def changed(self, container):
        container.exec_run(["touch", "/made"])
        return container.diff()

    def test_stats(self):
        container = sleeper()
        self.assertGreater(container.stats(stream=False)["memory_stats"]["usage"], 0)
        self.assertEqual(next(container.stats(stream=True, decode=True))["id"], container.id)

    def test_networks(self):
        network = client.networks.create("py-net", driver="bridge", labels={"of": "py"})
        one = sleeper(network="py-net", name="py-one")
        two = sleeper()
        network.connect(two, aliases=["second"])
        code, output = one.exec_run(["ping", "-c1", "-W5", "second"])
        self.assertEqual(code, 0, output)
        code, output = two.exec_run(["ping", "-c1", "-W5", "py-one"])
        self.assertEqual(code, 0, output)
        network.reload()
        self.assertEqual({c.id for c in network.containers}, {one.id, two.id})
        network.disconnect(two)
        with self.assertRaises(APIError) as caught:
            network.remove()
        self.assertEqual(caught.exception.status_code, 403)
        one.remove(force=True)
        network.remove()
        self.assertEqual(client.networks.list(names=["py-net"]), [])

    def test_volumes(self):
        volume = client.volumes.create("py-vol", labels={"of": "py"})
        mount = {"py-vol": {"bind": "/v", "mode": "rw"}}
        client.containers.run(IMAGE, ["sh", "-c", "echo kept > /v/f"], volumes=mount, remove=True)
        self.assertEqual(client.containers.run(IMAGE, ["cat", "/v/f"], volumes=mount, remove=True), b"kept\n")
        self.assertEqual([v.name for v in client.volumes.list(filters={"label": "of=py"})], ["py-vol"])
        volume.remove()

    def test_events(self):
        events = client.events(decode=True, filters={"label": "of=watched"})
        seen = []
        reader = threading.Thread(target=lambda: self.collect(events, seen))
        reader.start()
        client.containers.run(IMAGE, ["true"], labels={"of": "watched"}, remove=True)
        reader.join(60)
        self.assertFalse(reader.is_alive(), seen)
        self.assertEqual([action for action in seen if action != "attach"], ["create", "start", "die", "destroy"])

    def collect(self, events, seen):
        for event in events:
            seen.append(event["Action"])
            if event["Action"] == "destroy":
                events.close()
                return

    def test_images(self):
        container = client.containers.create(IMAGE, ["true"])
        image = container.commit(repository="py/made", tag="1", message="by docker-py", changes=["ENV A=b"])
        self.assertIn("A=b", image.attrs["Config"]["Env"])
        self.assertTrue(image.tag("py/made", "2"))
        archive = b"".join(image.save(named=True))
        for tag in ("1", "2"):
            client.images.remove("py/made:" + tag)
        with self.assertRaises(ImageNotFound):
            client.images.get("py/made:1")
        self.assertEqual(client.images.load(archive)[0].id, image.id)

    def test_build(self):
        dockerfile = f"FROM {IMAGE}\nARG WORD=none\nRUN echo built with $WORD > /word\nCMD cat /word\n"
        image, logs = client.images.build(
            fileobj=io.BytesIO(dockerfile.encode()), tag="py-built", buildargs={"WORD": "args"}, rm=True
        )
        self.assertIn("py-built:latest", image.tags)
        self.assertTrue(any("Successfully built" in line.get("stream", "") for line in logs))
        self.assertEqual(client.containers.run("py-built", remove=True), b"built with args\n")
        with self.assertRaises(docker.errors.BuildError):
            client.images.build(fileobj=io.BytesIO(f"FROM {IMAGE}\nRUN exit 3\n".encode()))

    def test_system(self):
        self.assertTrue(client.ping())
        self.assertEqual(client.info()["OSType"], "linux")
        self.assertIn("ApiVersion", client.version())
        self.assertGreater(client.df()["LayersSize"], 0)
        with self.assertRaises(ImageNotFound):
            client.containers.create("no/such:image")


if __name__ == "__main__":
    unittest.main(verbosity=2)
