"""What students get: a kubeconfig (0600), a sheet in Polish and English, and all of it in one zip."""

from __future__ import annotations

import contextlib
import hashlib
import io
import itertools
import zipfile
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from html.parser import HTMLParser
from importlib import resources
from pathlib import Path
from typing import Any

import jinja2
import yaml

from nodisk import files
from nodisk.assets import built
from nodisk.assets.container_images import ECHO, ECHO_PORT
from nodisk.classes.manifests import CLAIM
from nodisk.classes.record import Account, Class
from nodisk.context import LabContext
from nodisk.errors import NodiskError, UsageError
from nodisk.kube import kubeconfig
from nodisk.spec.model import Lab, Listen
from nodisk.values import KubeVersion, Role

LANGUAGES = ("pl", "en")
TEMPLATES = resources.files("nodisk.classes") / "templates"


@dataclass(frozen=True, slots=True)
class Kubectl:
    """Where students get kubectl."""

    url: str
    sha256: str | None


def where_kubectl(context: LabContext, version: KubeVersion) -> Kubectl:
    """The lab's own server, which has the release's kubectl; else the official download of that version."""
    with contextlib.suppress(NodiskError, OSError, KeyError, ValueError, StopIteration):
        ref = built.manifests(context.state.state, context.lab)["release"].file("kubectl")
        return Kubectl(f"http://{context.lab.network.server}/kubectl", ref.sha256)
    return Kubectl(f"https://dl.k8s.io/release/v{version}/bin/linux/amd64/kubectl", None)


def held(record: Class) -> dict[str, str]:
    """Account key → token of the kubeconfigs that are in the class's folder."""
    found: dict[str, str] = {}
    if record.out is None:
        return found
    for account in (*record.students, *record.teachers):
        with contextlib.suppress(OSError, NodiskError, KeyError, TypeError):
            token = kubeconfig.load(kubeconfig_path(Path(record.out), account)).token
            if token:
                found[account.key] = token
    return found


def good(record: Class, tokens: Mapping[str, str]) -> dict[str, str]:
    """Those of ``tokens`` (by account key) that the record knows as handed out last."""
    known = {account.key: account.token_sha256 for account in (*record.students, *record.teachers)}
    return {key: token for key, token in tokens.items() if known.get(key, "") in ("", digest(token))}


def digest(token: str) -> str:
    """What a record keeps of a token."""
    return hashlib.sha256(token.encode()).hexdigest()


def refuse_taken(folder: Path, others: Iterable[Class]) -> None:
    """Raise UsageError if the folder is where another class has its handouts."""
    for other in others:
        if other.out is not None and Path(other.out).resolve() == folder.resolve():
            raise UsageError(
                f"{folder} contains the handouts of class {other.name}", hint="choose another folder with --out"
            )


def kubeconfig_path(folder: Path, account: Account) -> Path:
    """The account's kubeconfig in the folder of handouts."""
    return folder / f"{account.label}.kubeconfig"


def write(context: LabContext, record: Class, tokens: Mapping[str, str], kubectl: Kubectl, *, folder: Path) -> Path:
    """Write the handouts of every account that has a token in ``tokens`` (by key), and the class's zip.

    Returns the zip's path. Every file is 0600: keys, and people's names. A full disk raises OSError; what is
    there is whole, and the next run writes the rest.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    admin = kubeconfig.load(context.state.admin_kubeconfig)

    def keep(account: Account, namespaces: Mapping[str, str] | None = None) -> None:
        text = config(context, admin, record, account, token=tokens[account.key], namespaces=namespaces)
        files.write(kubeconfig_path(folder, account), text, mode=0o600)

    # Nobody may list more than single namespaces; a teacher chooses one: kubectl --context LABEL.
    everybody = {student.label: record.namespace(student) for student in record.students}
    for account in record.teachers:
        if account.key in tokens:
            keep(account, everybody)
    render = renderer(record, kubectl, node=example_node(context.lab), door=door_on_paper(context, record))
    for student in record.students:
        if student.key not in tokens:
            continue
        keep(student)
        for language in LANGUAGES:
            files.write(folder / f"{student.label}.{language}.html", render(student, language), mode=0o600)
    path = folder / f"{record.name}.zip"
    files.write(path, _zip(record, folder), mode=0o600)
    return path


def config(
    context: LabContext,
    admin: kubeconfig.Endpoint,
    record: Class,
    account: Account,
    *,
    token: str,
    namespaces: Mapping[str, str] | None = None,
) -> str:
    """An account's kubeconfig with a token, for the lab's API at its own address, as ``admin`` has it.

    ``namespaces``: context's name → namespace; None: the student's own.
    """
    endpoint = kubeconfig.Endpoint(server=admin.server, ca_pem=admin.ca_pem, token=token)
    own = {f"{record.name}-{account.label}@{context.lab.name}": record.namespace(account)}
    return kubeconfig.render(
        endpoint,
        cluster=str(context.lab.name),
        user=f"{record.name}-{account.label}",
        namespaces=own if namespaces is None else namespaces,
    )


def door_path(class_name: str) -> str:
    """Where a class's students sign in, at the console."""
    return f"/door/{class_name}"


def door_on_paper(context: LabContext, record: Class) -> str | None:
    """The door's address for a sheet; None where the class has none, or students' browsers can't reach it."""
    reachable = context.lab.console.listen is Listen.LAB and context.netns is None
    return context.lab.console_url + door_path(record.name) if record.door and reachable else None


def example_node(lab: Lab) -> str:
    """An address at which NodePorts answer."""
    return str((lab.by_role(Role.WORKER) or lab.machines)[0].address)


def _zip(record: Class, folder: Path) -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for student in record.students:
            for name in names(student):
                path = folder / name
                if path.exists():
                    entry = zipfile.ZipInfo(f"{record.name}/{student.label}/{name}")  # a fixed date: same bytes again
                    entry.external_attr = 0o600 << 16
                    entry.compress_type = zipfile.ZIP_DEFLATED
                    archive.writestr(entry, path.read_bytes())
    return target.getvalue()


def names(account: Account) -> tuple[str, ...]:
    """The files of one account."""
    return (f"{account.label}.kubeconfig", *(f"{account.label}.{language}.html" for language in LANGUAGES))


def remove(record: Class, accounts: Iterable[Account], *, all_of_it: bool = False) -> None:
    """Delete the handouts of accounts that are no more; ``all_of_it``: the zip, and the folder if then empty, too."""
    if record.out is None:
        return
    folder = Path(record.out)
    for account in accounts:
        for name in names(account):
            (folder / name).unlink(missing_ok=True)
    if all_of_it:
        for path in (folder / f"{record.name}.zip", cards_path(record, folder)):
            path.unlink(missing_ok=True)
        with contextlib.suppress(OSError):
            folder.rmdir()
    elif folder.is_dir():
        files.write(folder / f"{record.name}.zip", _zip(record, folder), mode=0o600)


def renderer(record: Class, kubectl: Kubectl, *, node: str, door: str | None = None) -> Callable[[Account, str], str]:
    """What makes a student's sheet in a language (``pl``, ``en``). Pure.

    ``node``: an address for the NodePort step; ``door``: where the student can sign in in a browser.
    """
    template, words = _template("sheet.html.j2"), _words("sheet.yaml")

    def render(student: Account, language: str) -> str:
        return template.render(
            lang=language,
            t=words[language],
            record=record,
            size=record.size,
            student=student,
            namespace=record.namespace(student),
            until=local(student.expires or record.expires),
            kubectl=kubectl,
            image=ECHO,
            port=ECHO_PORT,
            node=node,
            claim=CLAIM,
            door=door,
        )

    return render


def cards_path(record: Class, folder: Path) -> Path:
    """The page of cards with students' codes."""
    return folder / f"{record.name}.codes.html"


def write_cards(record: Class, codes: Mapping[str, str], *, folder: Path, address: str, until: datetime) -> Path:
    """Write a card to cut out for each student who has a code in ``codes`` (by key, as people get it); 0600."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = cards_path(record, folder)
    files.write(path, cards(record, codes, address=address, until=local(until)), mode=0o600)
    return path


def cards(record: Class, codes: Mapping[str, str], *, address: str, until: str) -> str:
    """The page of ``write_cards``, in Polish and English. Pure."""
    rows = [(student, codes[student.key]) for student in record.students if student.key in codes]
    template, words = _template("cards.html.j2"), _words("cards.yaml")
    return template.render(record=record, rows=rows, address=address, until=until, words=words)


def on_cards(page: str) -> dict[str, str]:
    """Login → code of a page that ``cards`` made. Pure."""
    found = _Values()
    found.feed(page)
    found.close()
    return {login: code for (_, login), (is_code, code) in itertools.pairwise(found.values) if is_code}


class _Values(HTMLParser):
    """What a page of cards says of each student: whether it is a code, and its text. The login is before the code."""

    def __init__(self) -> None:
        super().__init__()
        self.values: list[tuple[bool, str]] = []
        self._inside = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "dd":
            self.values.append((("class", "code") in attrs, ""))
            self._inside = True

    def handle_endtag(self, tag: str) -> None:
        self._inside = self._inside and tag != "dd"

    def handle_data(self, data: str) -> None:
        if self._inside:
            is_code, text = self.values[-1]
            self.values[-1] = (is_code, text + data)


def _template(name: str) -> jinja2.Template:
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    return environment.from_string((TEMPLATES / name).read_text(encoding="utf-8"))


def _words(name: str) -> Any:
    return yaml.safe_load((TEMPLATES / name).read_text(encoding="utf-8"))


def local(moment: datetime) -> str:
    """A moment as the teacher's clock shows it."""
    return f"{moment.astimezone():%Y-%m-%d %H:%M}"
