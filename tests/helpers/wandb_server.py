"""A stand-in of the W&B server on localhost: what the client uploads is kept, and the network can be cut.

It answers those operations of the client that runs, artifacts and agents need. What it is asked beside them is in
`unknown`, so that a test shows what a new version of the client wants.
"""

from __future__ import annotations

import gzip
import json
import re
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

KEY = "0123456789" * 4
ENTITY = "me"


@dataclass
class ServedRun:
    """One W&B run: what was uploaded of it."""

    name: str
    project: str
    about: dict[str, Any] = field(default_factory=dict)
    lines: dict[str, list[str]] = field(default_factory=dict)  # of the file stream, by file
    files: dict[str, bytes] = field(default_factory=dict)
    exit_code: int | None = None
    stopped: bool = False
    used: list[str] = field(default_factory=list)  # ids of artifacts
    logged: list[str] = field(default_factory=list)

    @property
    def config(self) -> dict[str, Any]:
        values = json.loads(self.about.get("config") or "{}")
        return {key: entry["value"] for key, entry in values.items() if key != "_wandb"}

    @property
    def history(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.lines.get("wandb-history.jsonl", [])]

    @property
    def summary(self) -> dict[str, Any]:
        return json.loads(self.lines.get("wandb-summary.json", ["{}"])[-1])

    @property
    def state(self) -> str:
        return {None: "running", 0: "finished", 255: "killed"}.get(self.exit_code, "failed")


class WandbServer:
    """Use as a context manager; `cut()` takes the network away, `restore()` gives it back at the same address."""

    def __init__(self) -> None:
        self.runs: dict[str, ServedRun] = {}
        self.artifacts: dict[str, dict[str, Any]] = {}
        self.stored: dict[str, bytes] = {}
        self.commands: list[dict[str, Any]] = []  # for an agent: given one at a heartbeat
        self.beats: list[dict[str, Any]] = []  # what agents have reported: run → whether it runs
        self.sweep: dict[str, Any] = {}
        self.unknown: list[str] = []
        self.refused: set[str] = set()  # names of runs that may not be written
        self._lock = threading.RLock()
        self._port = 0
        self._server: ThreadingHTTPServer | None = None

    def __enter__(self) -> WandbServer:
        self.restore()
        return self

    def __exit__(self, *_: object) -> None:
        self.cut()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    @property
    def environment(self) -> dict[str, str]:
        """What a client needs to come here, without the waiting times of a real network."""
        return {
            "WANDB_BASE_URL": self.url,
            "WANDB_API_KEY": KEY,
            "WANDB_ENTITY": ENTITY,
            "WANDB__FILE_STREAM_TRANSMIT_INTERVAL": "0.2",
            "WANDB__FILE_STREAM_RETRY_WAIT_MIN_SECONDS": "0.2",
            "WANDB__FILE_STREAM_RETRY_WAIT_MAX_SECONDS": "0.5",
            "WANDB__FILE_TRANSFER_RETRY_WAIT_MIN_SECONDS": "0.2",
            "WANDB__FILE_TRANSFER_RETRY_WAIT_MAX_SECONDS": "0.5",
            "WANDB__GRAPHQL_RETRY_WAIT_MIN_SECONDS": "0.2",
            "WANDB__GRAPHQL_RETRY_WAIT_MAX_SECONDS": "0.5",
            "WANDB_ERROR_REPORTING": "false",
        }

    def cut(self) -> None:
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None

    def restore(self) -> None:
        kept = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                content = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                if kept._server is not self.server:
                    self.close_connection = True
                    return
                if self.headers.get("Content-Encoding") == "gzip":
                    content = gzip.decompress(content)
                asks = self.path == "/graphql" or self.path.endswith("/file_stream")  # not W&B's own telemetry
                self._answer(kept._post(self.path, json.loads(content)) if asks else {})

            def do_PUT(self) -> None:
                content = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                if kept._server is not self.server:
                    self.close_connection = True
                    return
                kept._put(self.path, content)
                self._answer({})

            def do_GET(self) -> None:
                self._answer({})

            def _answer(self, value: dict[str, Any], status: int = 200) -> None:
                body = json.dumps(value).encode()
                self.send_response(value.pop("status", status) if "status" in value else status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None: ...

        self._server = ThreadingHTTPServer(("127.0.0.1", self._port), Handler)
        self._server.daemon_threads = True
        self._port = self._server.server_port
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def lineage(self, run: str) -> tuple[list[str], list[str]]:
        """Types of the artifacts that a run has read and of those that it has written."""
        found = self.runs[run]
        types = [[self.artifacts[key]["type"] for key in keys] for keys in (found.used, found.logged)]
        return types[0], types[1]

    def _post(self, path: str, content: dict[str, Any]) -> dict[str, Any]:
        with self._lock:
            if path == "/graphql":
                operation = (re.search(r"(?:query|mutation)\s+(\w+)", content["query"]) or [None, "?"])[1]
                answer = _OPERATIONS.get(operation)
                if answer is None:
                    self.unknown.append(operation)
                    return {"errors": [{"message": f"the stand-in does not know {operation}"}]}
                try:
                    return answer(self, content.get("variables") or {})
                except (KeyError, TypeError) as error:
                    self.unknown.append(f"{operation}: {error!r} of {content.get('variables')}")
                    return {"errors": [{"message": self.unknown[-1]}], "status": 400}
            if match := re.fullmatch(r"/files/[^/]+/[^/]+/([^/]+)/file_stream", path):
                return self._stream(self.runs[match[1]], content)
            self.unknown.append(path)
            return {}

    def _put(self, path: str, content: bytes) -> None:
        with self._lock:
            self.stored[path] = content
            if match := re.fullmatch(r"/storage/run/([^/]+)/(.*)", path):
                self.runs[match[1]].files[match[2]] = content

    def _stream(self, run: ServedRun, content: dict[str, Any]) -> dict[str, Any]:
        for name, part in (content.get("files") or {}).items():
            lines = run.lines.setdefault(name, [])
            lines[part["offset"] : part["offset"] + len(part["content"])] = part["content"]
        if content.get("complete"):
            run.exit_code = content.get("exitcode")
        return {"exitcode": None, "limits": {}, "stopped": run.stopped}

    def _viewer(self, _: dict[str, Any]) -> dict[str, Any]:
        viewer = {"id": "1", "entity": ENTITY, "username": ENTITY, "email": "", "flags": "{}", "admin": False,
                  "teams": {"edges": []}}  # fmt: skip
        return {"data": {"viewer": viewer}}

    def _upsert(self, given: dict[str, Any]) -> dict[str, Any]:
        if given["name"] in self.refused:
            return {"errors": [{"message": "permission denied"}], "status": 403}
        inserted = given["name"] not in self.runs
        run = self.runs.setdefault(given["name"], ServedRun(given["name"], given.get("project") or ""))
        run.about.update({key: value for key, value in given.items() if value is not None})
        run.exit_code = None if inserted or given.get("state") == "running" else run.exit_code
        bucket = self._run(run)
        return {"data": {"upsertBucket": {"bucket": bucket, "inserted": inserted}}}

    def _run(self, run: ServedRun) -> dict[str, Any]:
        entity = {"id": ENTITY, "name": ENTITY}
        return {
            "id": f"id-{run.name}", "name": run.name, "displayName": run.about.get("displayName"), "description": "",
            "config": run.about.get("config"), "sweepName": run.about.get("sweep"), "state": run.state,
            "project": {"id": run.project, "name": run.project, "entity": entity},
            "historyLineCount": len(run.lines.get("wandb-history.jsonl", [])),
            "eventsLineCount": len(run.lines.get("wandb-events.jsonl", [])),
            "logLineCount": 0, "tags": run.about.get("tags") or [], "notes": run.about.get("notes"),
            "summaryMetrics": json.dumps(run.summary), "wandbConfig": json.dumps({"t": 1}),
            "historyTail": json.dumps(run.lines.get("wandb-history.jsonl", [])[-1:]),
            "eventsTail": json.dumps(run.lines.get("wandb-events.jsonl", [])[-1:]),
            "sweep": None, "user": {"name": ENTITY, "username": ENTITY}, "group": run.about.get("groupName"),
            "jobType": run.about.get("jobType"), "commit": None, "readOnly": False, "createdAt": "2026-01-01T00:00:00",
            "heartbeatAt": "2026-01-01T00:00:00", "systemMetrics": "{}", "historyKeys": None, "projectId": "1",
        }  # fmt: skip

    def _resume(self, given: dict[str, Any]) -> dict[str, Any]:
        run = self.runs.get(given["name"])
        entity = {"id": ENTITY, "name": ENTITY}
        bucket = None if run is None else self._run(run)
        return {"data": {"model": {"id": "1", "name": given["project"], "entity": entity, "bucket": bucket}}}

    def _create_files(self, given: dict[str, Any]) -> dict[str, Any]:
        files = [{"name": name, "uploadUrl": f"{self.url}/storage/run/{given['run']}/{name}"}
                 for name in given["files"]]  # fmt: skip
        return {"data": {"createRunFiles": {"runID": given["run"], "uploadHeaders": [], "files": files}}}

    def _create_artifact(self, given: dict[str, Any]) -> dict[str, Any]:
        about = given["input"]
        same = (about["artifactCollectionName"], about["digest"])
        key = next((key for key, known in self.artifacts.items() if (known["name"], known["digest"]) == same), None)
        if key is None:
            key = f"artifact-{len(self.artifacts)}"
            self.artifacts[key] = {
                "name": about["artifactCollectionName"], "type": about["artifactTypeName"], "digest": about["digest"],
                "metadata": json.loads(about.get("metadata") or "{}"), "state": "PENDING", "files": [],
                "aliases": [alias["alias"] for alias in about.get("aliases") or ()],
            }  # fmt: skip
        artifact = self.artifacts[key]
        run = self.runs.get(about.get("runName"))  # none for an artifact that a run reads
        if run is not None and key not in run.logged:
            run.logged.append(key)
        latest = {"id": key} if artifact["state"] == "COMMITTED" else None
        found = {"id": key, "state": artifact["state"], "artifactSequence": {"latestArtifact": latest}}
        return {"data": {"createArtifact": {"artifact": found}}}

    def _manifest(self, given: dict[str, Any]) -> dict[str, Any]:
        key = given.get("artifactID") or given["artifactManifestID"]
        file = {"id": f"file-{key}", "uploadUrl": f"{self.url}/storage/manifest/{key}", "uploadHeaders": []}
        name = "createArtifactManifest" if "artifactID" in given else "updateArtifactManifest"
        return {"data": {name: {"artifactManifest": {"id": key, "file": file}}}}

    def _artifact_files(self, given: dict[str, Any]) -> dict[str, Any]:
        edges = []
        for spec in (given.get("input") or given)["artifactFiles"]:
            key, name = spec["artifactID"], spec["name"]
            self.artifacts[key]["files"].append(name)
            path = f"/storage/artifact/{key}/{name}"
            node = {"storagePath": path, "uploadUrl": self.url + path, "uploadHeaders": [],
                    "uploadMultipartUrls": None, "artifact": {"id": key}}  # fmt: skip
            edges.append({"node": node})
        return {"data": {"createArtifactFiles": {"files": {"edges": edges}}}}

    def _commit(self, given: dict[str, Any]) -> dict[str, Any]:
        artifact = self.artifacts[given["artifactID"]]
        artifact["state"] = "COMMITTED"
        return {"data": {"commitArtifact": {"artifact": {"id": given["artifactID"], "digest": artifact["digest"]}}}}

    def _use(self, given: dict[str, Any]) -> dict[str, Any]:
        about = given["input"]
        self.runs[about["runName"]].used.append(about["artifactID"])
        return {"data": {"useArtifact": {"artifact": {"id": about["artifactID"]}}}}

    def _stop_status(self, given: dict[str, Any]) -> dict[str, Any]:
        return {"data": {"project": {"run": {"stopped": self.runs[given["runId"]].stopped}}}}

    def _sweep(self, _: dict[str, Any]) -> dict[str, Any]:
        sweep = {"id": "s1", "name": "s1", "method": "grid", "state": "RUNNING", "config": json.dumps(self.sweep),
                 "runs": {"edges": []}, "priorRuns": [], "description": "", "createdAt": None, "heartbeatAt": None,
                 "updatedAt": None, "earlyStopJobRunning": False, "bestLoss": None, "controller": None,
                 "scheduler": None}  # fmt: skip
        return {"data": {"project": {"sweep": sweep}}}

    def _agent(self, _: dict[str, Any]) -> dict[str, Any]:
        return {"data": {"createAgent": {"agent": {"id": "agent1"}}}}

    def _heartbeat(self, given: dict[str, Any]) -> dict[str, Any]:
        running = json.loads(given.get("runState") or "{}")
        self.beats.append(running)
        found = self._next_commands(running)
        beat = {"agent": {"id": "agent1"}, "commands": json.dumps(found)}
        return {"data": {"agentHeartbeat": beat}}

    def _next_commands(self, running: dict[str, bool]) -> list[dict[str, Any]]:
        """Stops for runs that are to stop; else, once nothing runs, the next command."""
        stops = [{"type": "stop", "run_id": name} for name in running
                 if name in self.runs and self.runs[name].stopped]  # fmt: skip
        if stops or running:
            return stops
        return [self.commands.pop(0)] if self.commands else [{"type": "exit"}]


_OPERATIONS = {
    "Viewer": WandbServer._viewer,
    "GetViewer": WandbServer._viewer,
    "GetDefaultEntity": WandbServer._viewer,
    "ServerFeaturesQuery": lambda server, _: {"data": {"serverInfo": {"features": []}}},
    "OrganizationCoreWeaveOrganizationID": lambda server, _: {"data": {"entity": None}},
    "ArtifactType": lambda server, _: {"data": {"project": {"artifact": None}}},
    "ServerInfo": lambda server, _: {"data": {"serverInfo": {"cliVersionInfo": {}, "latestLocalVersionInfo": None}}},
    "UpsertBucket": WandbServer._upsert,
    "RunResumeStatus": WandbServer._resume,
    "RunRows": WandbServer._resume,
    "CreateRunFiles": WandbServer._create_files,
    "MarkRunFilesUploaded": lambda server, _: {"data": {"markRunFilesUploaded": {"success": True}}},
    "CreateArtifact": WandbServer._create_artifact,
    "CreateArtifactManifest": WandbServer._manifest,
    "UpdateArtifactManifest": WandbServer._manifest,
    "CreateArtifactFiles": WandbServer._artifact_files,
    "CommitArtifact": WandbServer._commit,
    "UseArtifact": WandbServer._use,
    "RunStoppedStatus": WandbServer._stop_status,
    "SweepWithRuns": WandbServer._sweep,
    "CreateAgent": WandbServer._agent,
    "Heartbeat": WandbServer._heartbeat,
}
