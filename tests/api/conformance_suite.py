#!/usr/bin/env python3
"""A program with the command line of ``e2e.test``, for tests of what surrounds it: Kubernetes' own takes hours.

It works on the real API server that it is given: each spec has a namespace with the suite's label. A spec whose name
has the word ``fails`` fails, ``skips`` skips itself, ``flaky`` fails the first time, ``hangs`` waits for its end, with
all kinds of things in the cluster that a real one would take away itself.
"""

import re
import signal
import subprocess
import sys
from pathlib import Path
from xml.sax.saxutils import quoteattr

HERE = Path(__file__).resolve().parent
CLUTTER = """
apiVersion: v1
kind: Namespace
metadata: {name: SPACE-markers, labels: {SPACE-markers: "true"}}
---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingWebhookConfiguration
metadata: {name: blocking}
webhooks:
- name: deny.k8s.io
  rules: [{operations: [CREATE], apiGroups: [""], apiVersions: [v1], resources: [secrets]}]
  clientConfig: {service: {namespace: SPACE, name: e2e-test-webhook}}
  namespaceSelector: {matchLabels: {SPACE: "true"}}
  sideEffects: None
  admissionReviewVersions: [v1]
---
apiVersion: apiregistration.k8s.io/v1
kind: APIService
metadata: {name: v1alpha1.wardle.example.com}
spec:
  group: wardle.example.com
  version: v1alpha1
  groupPriorityMinimum: 2000
  versionPriority: 200
  insecureSkipTLSVerify: true
  service: {namespace: SPACE, name: sample-api}
---
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: e2e-test-webhook-1-crds.webhook.example.com}
spec:
  group: webhook.example.com
  scope: Namespaced
  names: {plural: e2e-test-webhook-1-crds, singular: e2e-test-webhook-1-crd, kind: E2e-test-webhook-1-crd}
  versions:
  - {name: v1, served: true, storage: true, schema: {openAPIV3Schema: {type: object}}}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: "wardler:SPACE:auth-delegator"}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: "system:auth-delegator"}
subjects: [{kind: ServiceAccount, name: default, namespace: SPACE}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: webhook-auth-reader, namespace: kube-system}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: extension-apiserver-authentication-reader}
subjects: [{kind: ServiceAccount, name: default, namespace: SPACE}]
---
apiVersion: scheduling.k8s.io/v1
kind: PriorityClass
metadata: {name: sched-preemption-low-priority}
value: 1
"""


def main() -> int:
    options = dict(word.lstrip("-").partition("=")[::2] for word in sys.argv[1:])
    names = (HERE / "names").read_text().splitlines()
    if "list-conformance-tests" in options:
        print("".join(f"- codename: '{name}'\n" for name in names))
        return 0
    if "version" in options:
        print("v1.20.2")
        return 0
    kubectl = [options["kubectl-path"], f"--kubeconfig={options['kubeconfig']}"]
    focus = re.compile(options["ginkgo.focus"])
    cases, failed = [], False
    for number, name in enumerate(names):
        if not focus.search(f"Kubernetes e2e suite {name}"):
            cases.append(f'<testcase name={quoteattr(name)} time="0"><skipped/></testcase>')
            continue
        space = f"e2e-{number}"
        subprocess.run([*kubectl, "create", "namespace", space], check=True)
        subprocess.run([*kubectl, "label", "namespace", space, "e2e-run=test"], check=True)
        inside = ""
        if "hangs" in name and not (HERE / "woken").exists():
            subprocess.run([*kubectl, "apply", "-f", "-"], input=CLUTTER.replace("SPACE", space), text=True, check=True)
            (HERE / "hanging").touch()
            signal.pause()
        if "fails" in name or ("flaky" in name and not (HERE / "seen").exists()):
            if "flaky" in name:
                (HERE / "seen").touch()
            inside, failed = "<failure>it was to</failure>", True
        elif "skips" in name:
            print(f"S [SKIPPING] [0.1 seconds]\n  {name} [It]\n\n  Requires at least 9 nodes (not 0)\n{'-' * 30}")
            inside = "<skipped/>"
        subprocess.run([*kubectl, "delete", "namespace", space, "--wait=false"], check=True)
        cases.append(f'<testcase name={quoteattr(name)} time="0.1">{inside}</testcase>')
    Path(options["report-dir"], "junit_01.xml").write_text(f"<testsuite>{''.join(cases)}</testsuite>")
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
