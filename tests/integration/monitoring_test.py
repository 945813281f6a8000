"""What comes with Equipoise to watch it: metrics, rules, dashboard and console page, on a real Prometheus server that
reads a real coordinator with a job that trains."""

import html.parser
import json
import pathlib
import re
import shutil
import subprocess
import sys
import time
import unittest
import urllib.error
import urllib.parse
import urllib.request

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
import programs  # noqa: E402

programs.with_python_deps()
import yaml  # noqa: E402

sys.path.append(str(programs.DEPS / "python-promql"))
import promql_parser  # noqa: E402

PROMETHEUS = programs.ROOT / "deploy/prometheus"
DASHBOARD = programs.ROOT / "deploy/grafana/dashboard.json"
RULES = yaml.safe_load((PROMETHEUS / "rules.yml").read_text())
ALERTS = [rule for group in RULES["groups"] for rule in group["rules"] if "alert" in rule]
RECORDINGS = [rule for group in RULES["groups"] for rule in group["rules"] if "record" in rule]
TYPE_CHECK = """
import type { Dashboard } from "@grafana/schema";
// As JSON has it: texts in place of the values of enumerations.
type Json<T> = T extends string ? `${T}` : T extends number | boolean | null | undefined ? T
  : T extends (infer U)[] ? Json<U>[] : { [K in keyof T]: Json<T[K]> };
export const dashboard: Json<Dashboard> =
"""


def dashboard():
    return json.loads(DASHBOARD.read_text())


def tool(*arguments):
    done = subprocess.run([str(argument) for argument in arguments], capture_output=True, text=True, timeout=120)
    return done.returncode, done.stdout + done.stderr


def selectors(expression):
    """The vector selectors of a query, as text."""
    found = []

    def walk(node):
        if isinstance(node, promql_parser.VectorSelector):
            found.append(str(node))
        elif isinstance(node, promql_parser.MatrixSelector):
            walk(node.vector_selector)
        elif isinstance(node, promql_parser.BinaryExpr):
            walk(node.lhs)
            walk(node.rhs)
        elif isinstance(node, promql_parser.Call):
            for argument in node.args:
                walk(argument)
        elif isinstance(node, (promql_parser.AggregateExpr, promql_parser.ParenExpr, promql_parser.UnaryExpr,
                               promql_parser.SubqueryExpr)):
            walk(node.expr)

    walk(promql_parser.parse(expression))
    return found


class Files(programs.ProgramTest):
    """What needs no server."""

    def assert_runs(self, *arguments):
        code, output = tool(*arguments)
        self.assertEqual(code, 0, output)

    def test_each_alert_is_tested_to_fire_and_not_to_fire(self):
        self.assert_runs("promtool", "test", "rules", PROMETHEUS / "rules_test.yml")
        fires, rests = set(), set()
        for test in yaml.safe_load((PROMETHEUS / "rules_test.yml").read_text())["tests"]:
            for case in test.get("alert_rule_test", []):
                (fires if case["exp_alerts"] else rests).add(case["alertname"])
        names = {alert["alert"] for alert in ALERTS}
        self.assertEqual(fires, names)
        self.assertEqual(rests, names)

    def test_a_rule_that_is_wrong_fails_its_test(self):
        for name in ("rules.yml", "rules_test.yml"):
            text = (PROMETHEUS / name).read_text()
            (self.folder / name).write_text(text.replace("max > 0.95", "max > 0.99"))
        code, output = tool("promtool", "test", "rules", self.folder / "rules_test.yml")
        self.assertEqual(code, 1, output)
        self.assertIn("EquipoiseWeightCollapse", output)

    def test_each_alert_has_a_section_that_its_runbook_names(self):
        page = (programs.ROOT / "docs/monitoring.md").read_text()
        sections = re.findall(r"^### (\w+)$", page, re.MULTILINE)
        for alert in ALERTS:
            self.assertEqual(alert["annotations"]["runbook_url"], "docs/monitoring.md#" + alert["alert"].lower())
            self.assertIn(alert["alert"], sections)
            self.assertIn(alert["labels"]["severity"], ("critical", "warning", "info"))
        self.assertEqual(len(sections), len(ALERTS), "a section of an alert that is gone")

    def test_configurations_are_valid_with_every_line_that_is_commented(self):
        self.assert_runs("promtool", "check", "config", PROMETHEUS / "prometheus.yml")
        self.assert_runs("amtool", "check-config", PROMETHEUS / "alertmanager.yml")
        shutil.copy(PROMETHEUS / "rules.yml", self.folder)
        text = (PROMETHEUS / "prometheus.yml").read_text()
        begin, middle = text.index("    # scheme: https"), text.index("    # And with certificates")
        # A key of YAML that is commented; what is said in words has none.
        key = re.compile(r"^( *)# ( *(?:- )?[a-z_]+:.*)$", re.MULTILINE)
        for name, variant in (("token", key.sub(r"\1\2", text[:middle])),
                              ("certificates", key.sub(r"\1\2", text[:begin] + text[middle:]))):
            config = self.folder / f"{name}.yml"
            config.write_text(variant)
            self.assert_runs("promtool", "check", "config", "--syntax-only", config)
            read = yaml.safe_load(variant)
            self.assertEqual(read["alerting"]["alertmanagers"][0]["static_configs"][0]["targets"], ["localhost:9093"])
            scrape = read["scrape_configs"][0]
            self.assertEqual("credentials_file" in scrape.get("authorization", {}), name == "token")
            self.assertEqual("cert_file" in scrape["tls_config"], name == "certificates")

    def test_the_dashboard_is_one_of_grafanas(self):
        compiler = next(programs.DEPS.glob("npm/@typescript/typescript-linux-*")) / "lib/tsc"
        (self.folder / "node_modules/@grafana").mkdir(parents=True)
        (self.folder / "node_modules/@grafana/schema").symlink_to(programs.DEPS / "npm/@grafana/schema")

        def check(content):
            source = self.folder / "dashboard.ts"
            source.write_text(TYPE_CHECK + json.dumps(content) + ";\n")
            return tool(compiler, "--noEmit", "--skipLibCheck", "--strict", "--moduleResolution", "bundler", "--module",
                        "esnext", "--target", "es2022", source)

        code, output = check(dashboard())
        self.assertEqual(code, 0, output)
        for key, value in (("refreshing", "15s"), ("graphTooltip", "both"), ("panels", [{"typ": "stat"}])):
            code, output = check({**dashboard(), key: value})
            self.assertNotEqual(code, 0, f"{key} is not found to be wrong")

    def test_the_dashboard_can_be_found_and_used_with_any_data_source(self):
        content = dashboard()
        self.assertEqual(content["uid"], "equipoise-jobs")
        self.assertNotIn("id", content)
        variables = {variable["name"]: variable for variable in content["templating"]["list"]}
        self.assertEqual(variables["datasource"]["type"], "datasource")
        for panel in content["panels"]:
            for source in [panel, *panel.get("targets", [])]:
                if "datasource" in source:
                    self.assertEqual(source["datasource"]["uid"], "${datasource}", panel["title"])
        self.assertEqual([panel["title"] for panel in content["panels"] if panel.get("repeat") == "training_job"],
                         ["Job $training_job"])
        ids = [panel["id"] for panel in content["panels"]]
        self.assertEqual(len(ids), len(set(ids)))
        # Panels do not overlap.
        taken = {}
        for panel in content["panels"]:
            at = panel["gridPos"]
            self.assertLessEqual(at["x"] + at["w"], 24, panel["title"])
            for cell in ((x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])):
                self.assertNotIn(cell, taken, f"{panel['title']} lies over {taken.get(cell)}")
                taken[cell] = panel["title"]


class Tables(html.parser.HTMLParser):
    """The cells of the rows of the tables of a page, by the table's id, and the names of all elements."""

    def __init__(self, text):
        super().__init__()
        self.tables, self.elements, self.rows, self.cell = {}, set(), None, None
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.elements.add(tag)
        if tag == "table":
            self.rows = self.tables.setdefault(dict(attributes)["id"], [])
        elif tag == "tr" and self.rows is not None:
            self.rows.append([])
        elif tag in ("td", "th") and self.rows:
            self.cell = ""

    def handle_data(self, data):
        if self.cell is not None:
            self.cell += data

    def handle_endtag(self, tag):
        if tag in ("td", "th") and self.cell is not None:
            self.rows[-1].append(self.cell.strip())
            self.cell = None


class Server:
    """Prometheus with the configuration of deploy/, but for the address of the coordinator and shorter intervals."""

    def __init__(self, folder, metrics):
        text = (PROMETHEUS / "prometheus.yml").read_text().replace("localhost:9464", metrics).replace("15s", "1s")
        (folder / "prometheus.yml").write_text(text)
        shutil.copy(PROMETHEUS / "rules.yml", folder)
        self.log = open(folder / "prometheus.log", "w+")
        self.process = subprocess.Popen(
            ["prometheus", f"--config.file={folder}/prometheus.yml", f"--storage.tsdb.path={folder}/tsdb",
             f"--web.console.templates={PROMETHEUS}/consoles", "--web.listen-address=127.0.0.1:0"],
            stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log)
        self.address = f"http://127.0.0.1:{self.port()}"

    def port(self):
        """It says which address it was given, and not which port it has got."""
        while self.process.poll() is None:
            listening = {}
            for line in pathlib.Path("/proc/net/tcp").read_text().splitlines()[1:]:
                fields = line.split()
                if fields[3] == "0A":
                    listening[f"socket:[{fields[9]}]"] = int(fields[1].split(":")[1], 16)
            for descriptor in pathlib.Path(f"/proc/{self.process.pid}/fd").iterdir():
                try:
                    target = str(descriptor.readlink())
                except FileNotFoundError:
                    continue
                if target in listening:
                    return listening[target]
            time.sleep(0.05)
        self.log.seek(0)
        raise RuntimeError("Prometheus has ended: " + self.log.read())

    def get(self, path, **parameters):
        with urllib.request.urlopen(f"{self.address}{path}?{urllib.parse.urlencode(parameters)}", timeout=30) as answer:
            return answer.read().decode()

    def query(self, expression):
        try:
            return json.loads(self.get("/api/v1/query", query=expression))["data"]["result"]
        except urllib.error.HTTPError as error:
            raise AssertionError(f"{expression}: {error.read().decode()}") from error

    def curves(self, expression):
        now = time.time()
        answer = self.get("/api/v1/query_range", query=expression, start=now - 20, end=now, step=1)
        return json.loads(answer)["data"]["result"]

    def stop(self):
        self.process.terminate()
        self.process.wait(timeout=60)
        self.log.close()


class Watched(programs.ProgramTest):
    """One coordinator with a job that trains for as long as the tests last, and one Prometheus for all of them."""

    def setUp(self):
        super().setUp()
        self.small_model()
        (self.folder / "hosts").write_text("localhost slots=4\n")
        self.coordinator = programs.Coordinator(self.folder / "state", "--hostfile", str(self.folder / "hosts"),
                                                "--webhook", "http://127.0.0.1:9/")
        self.addCleanup(self.coordinator.stop)
        self.server = Server(self.folder, self.coordinator.metrics)
        self.addCleanup(self.server.stop)
        job = self.write_job(
            "watched", training={"max_steps": 1000000, "global_batch_size": 16, "seed": 1}, logging={"every_steps": 1},
            evaluation={"every_steps": 20}, checkpoint={"every_steps": 20, "keep": 1})
        self.job = self.succeed("equipoise", "submit", job, "--coordinator", self.coordinator.address, "--np",
                                "2").strip().splitlines()[-1].split()[-1]
        self.addCleanup(programs.run, "equipoise", "jobs", "cancel", self.job, "--coordinator",
                        self.coordinator.address)

    def filled(self, expression):
        values = {"instance": ".*", "training_job": self.job, "split": "validation", "top": "8",
                  "__rate_interval": "15s"}
        return re.sub(r"\$(\w+)", lambda name: values[name.group(1)], expression)

    def queries(self):
        """All that must return data: what each is of, and the query."""
        for panel in dashboard()["panels"]:
            for target in panel.get("targets", []):
                yield f"panel {panel['title']}", self.filled(target["expr"]), target["range"]
        for rule in RECORDINGS:
            yield f"rule {rule['record']}", rule["expr"], False
            yield f"series {rule['record']}", rule["record"], False
        for rule in ALERTS:  # which has no data as long as all is well: what it looks at has
            for selector in selectors(rule["expr"]):
                yield f"alert {rule['alert']}", selector, False

    def wait_for(self, what, seconds=120):
        """Until `what` returns nothing that is missing."""
        deadline = time.monotonic() + seconds
        while missing := what():
            if time.monotonic() > deadline:
                self.fail("\n".join(map(str, missing)))
            time.sleep(0.5)

    def test_every_query_has_data_and_every_page_shows_it(self):
        left = list(self.queries())
        self.assertGreater(len(left), 80)

        def without_data():
            left[:] = [(what, query, is_curve) for what, query, is_curve in left
                       if not (self.server.curves(query) if is_curve else self.server.query(query))]
            return left

        self.wait_for(without_data)
        self.check_variables()
        self.check_rules()
        self.check_metrics()
        self.check_console()

    def check_variables(self):
        for variable in dashboard()["templating"]["list"]:
            if variable["type"] != "query":
                continue
            selector, label = re.fullmatch(r"label_values\((.*), (\w+)\)", variable["query"]["query"]).groups()
            found = {series["metric"].get(label) for series in self.server.query(self.filled(selector))}
            self.assertTrue(found and None not in found, variable["name"])

    def check_rules(self):
        groups = json.loads(self.server.get("/api/v1/rules"))["data"]["groups"]
        self.assertEqual(sum(len(group["rules"]) for group in groups), len(ALERTS) + len(RECORDINGS))
        for group in groups:
            for rule in group["rules"]:
                self.assertEqual((rule["health"], rule.get("lastError", "")), ("ok", ""), rule["name"])

    def check_metrics(self):
        """The page has what the reference has, and Prometheus' own checker finds nothing."""
        with urllib.request.urlopen(f"http://{self.coordinator.metrics}/metrics", timeout=30) as answer:
            text = answer.read().decode()
        code, output = tool("sh", "-c", 'promtool check metrics < "$0"', self.write("metrics.txt", text))
        self.assertEqual((code, output), (0, ""))
        shown = set(re.findall(r"^# TYPE (\S+) ", text, re.MULTILINE))
        page = (programs.ROOT / "docs/reference/metrics.md").read_text()
        told = set(re.findall(r"^\| `((?:equipoise|process)_\w+)`", page, re.MULTILINE))
        self.assertEqual({name for name in shown if name.startswith(("equipoise_", "process_"))}, told)
        self.assertRegex(text, r'equipoise_build_info\{revision="([0-9a-f]{12}|unknown)",version="[0-9.]+"\} 1')
        self.assertIn(f'equipoise_job_info{{name="watched",training_job="{self.job}"}} 1', text)
        process = self.coordinator.process.pid
        resident = int(pathlib.Path(f"/proc/{process}/statm").read_text().split()[1]) * 4096
        told_resident = float(re.search(r"^process_resident_memory_bytes (\S+)", text, re.MULTILINE).group(1))
        self.assertLess(abs(told_resident - resident), 0.5 * resident)
        goodput = float(re.search(r"^equipoise_goodput_ratio\{.*\} (\S+)", text, re.MULTILINE).group(1))
        self.assertTrue(0 < goodput <= 1, goodput)

    def write(self, name, text):
        (self.folder / name).write_text(text)
        return self.folder / name

    def check_console(self):
        page = self.server.get("/consoles/equipoise.html")
        jobs = Tables(page).tables["jobs"]
        self.assertEqual(jobs[1][:3], [self.job, "watched", "running"])
        coordinators = Tables(page).tables["coordinators"]
        self.assertEqual(coordinators[1][0], self.coordinator.metrics)
        self.assertEqual(coordinators[1][2:4], ["yes", "yes"])
        page = self.server.get("/consoles/equipoise.html", job=self.job)
        groups = Tables(page).tables["groups"][1:]
        self.assertEqual({row[0] for row in groups}, set(self.groups()))
        losses = [float(row[1]) for row in groups]
        self.assertEqual(losses, sorted(losses, reverse=True))
        self.assertAlmostEqual(sum(float(row[3]) for row in groups), 1, delta=0.001)
        self.assertNotIn("–", [cell for row in groups for cell in row])
        self.assertNotIn("script", Tables(page).elements, "it works without one")
        # What a stranger puts into a link is shown as text, and stays one label in queries.
        for bad in ('"><script>alert(1)</script>', '"} or up or {x="', "{{ .Params }}", "\\"):
            page = self.server.get("/consoles/equipoise.html", job=bad)
            self.assertNotIn("script", Tables(page).elements)
            self.assertEqual(Tables(page).tables["groups"][1:], [["Nothing is known of its groups yet."]])

    def groups(self):
        job = json.loads(self.succeed("equipoise", "jobs", "get", self.job, "--json", "--coordinator",
                                      self.coordinator.address))
        return [group["name"] for group in job["groups"]]


if __name__ == "__main__":
    unittest.main()
