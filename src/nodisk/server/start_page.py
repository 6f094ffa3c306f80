"""The page at the server's address: how to get kubectl on each system, and where the key file goes. Pure.

A test runs the lines for Linux as they are served. Those for macOS and Windows have never run on such a system, only
been reviewed (PowerShell: ``mkdir`` accepts -Force there, ``curl.exe`` is the program and not the alias of Windows
PowerShell 5, and ``$HOME`` in a bare word stays one argument, even with a space in the user's name).
"""

from __future__ import annotations

from html import escape

from nodisk.plan.facts import AssetRef, ReleaseFacts
from nodisk.spec.model import Lab

_PAGE = """\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>{lab}: kubectl</title>
<style>body {{ font: 1rem/1.5 sans-serif; max-width: 48rem; margin: 2rem auto; padding: 0 1rem }}
pre {{ background: #eee; padding: .6rem; overflow-x: auto }}</style>
</head>
<body>
<h1>{lab}: Kubernetes {version}</h1>
<p>You need kubectl and the key file <code>NAME.kubeconfig</code> that your teacher gave you.
<span lang="pl">Potrzebujesz programu kubectl i pliku-klucza <code>NAME.kubeconfig</code> od prowadzącego.</span></p>
<h2>Linux</h2>
{linux}
<pre>mkdir -p ~/.kube
cp NAME.kubeconfig ~/.kube/config
chmod 600 ~/.kube/config
./kubectl get pods</pre>
<h2>macOS</h2>
{macos}
<pre>mkdir -p ~/.kube
cp NAME.kubeconfig ~/.kube/config
chmod 600 ~/.kube/config
./kubectl get pods</pre>
<h2>Windows</h2>
{windows}
<pre>mkdir $HOME\\.kube -Force
copy NAME.kubeconfig $HOME\\.kube\\config
.\\kubectl.exe get pods</pre>
</body>
</html>
"""
_OFFICIAL = "https://dl.k8s.io/release/v{version}/bin/{platform}/{file}"


def page(lab: Lab, release: ReleaseFacts, kubectl: AssetRef | None) -> str:
    """The HTML. What the release has comes from this server; the rest from Kubernetes' own download site."""
    version = str(release.version)
    server = f"http://{lab.network.server}"
    if kubectl is not None:
        linux = _lines(f"curl -fLo kubectl {server}/kubectl", f"curl -fL {server}/kubectl.sha256 | sha256sum -c")
    else:
        linux = _download(version, "linux/amd64", "kubectl")
    macos = f"<p>Apple silicon; on an Intel Mac write <code>amd64</code> for <code>arm64</code>.</p>{_ELSEWHERE}"
    return _PAGE.format(
        lab=escape(str(lab.name)),
        version=escape(version),
        linux=linux + _lines("chmod +x kubectl"),
        macos=macos + _download(version, "darwin/arm64", "kubectl") + _lines("chmod +x kubectl"),
        windows=f"<p>In PowerShell.</p>{_ELSEWHERE}" + _download(version, "windows/amd64", "kubectl.exe"),
    )


_ELSEWHERE = "<p>This server has kubectl for Linux only; this download needs the internet.</p>"


def _download(version: str, platform: str, file: str) -> str:
    url = _OFFICIAL.format(version=version, platform=platform, file=file)
    return _lines(f"{'curl.exe' if file.endswith('.exe') else 'curl'} -fLo {file} {url}")


def _lines(*lines: str) -> str:
    return f"<pre>{escape(chr(10).join(lines))}</pre>\n"
