"""nginx' configuration: files, proxying to the application and the registry, TLS, load balancing of the API.

Every listener is on the server's address or a unix socket: nothing changes on the host's other networks.
"""

from __future__ import annotations

from nodisk import ports
from nodisk.plan.daemons import Host
from nodisk.spec.model import Lab
from nodisk.values import Role

MAX_EVENT = 16 * 1024
MAX_ENROL = 128 * 1024
"""Size limits of a request's body in bytes: ten CSRs and some SSH keys are about 20 KiB."""
API_CONNECTIONS = 512
"""Connections to the API from one address. A class of 30 behind one NAT needs about 300 (kubectl and a dashboard)."""
MAX_CONSOLE = 64 * 1024
MAX_ROSTER = 1024 * 1024
"""Bytes of the form that makes a class, with a file in it; the console says in words what is too long."""
CONSOLE_CONNECTIONS = 1024
"""Requests of browsers to the console at the same time; of one address, a quarter: a school may have only one, and a
class that signs in at once waits half a minute, for passphrases take a quarter of a second each."""
CONSOLE_LASTING = 2048
"""Terminals and pages that wait for news. Not counted by address: the console gives them to who is signed in, some to
each, and answers the others at once."""
LEAVE_ALONE = 2
"""Seconds for which a control-plane machine that did not answer gets no connections. Then one connection tries it
again. More would only delay those who wait for the first machine to come back."""
PATIENCE = 0.5
"""Seconds in which a control-plane machine's kernel must take a connection, where there are others: with two of three
gone, a caller may wait for both in turn. Alone it gets twice as long, since nobody else could answer."""

IDLE = 60
"""Seconds after which nginx closes a connection to the application that nothing was asked on."""

STARTING = (
    "<!doctype html><title>nodisk</title><h1>The server is starting again</h1>"
    "<p>It takes some seconds. If you have sent something, look whether it was done."
    "<p><a href=/>Go to the first page</a>"
)
"""What browsers get meanwhile: no word that JSON or nginx reads in its own way."""

_TEMPLATE = """\
{module}daemon off;
user {user};
worker_processes auto;
worker_rlimit_nofile 32768;
pid {run}/nginx.pid;
error_log stderr warn;

events {{
    worker_connections 8192;
}}

http {{
    log_format nodisk escape=json '{{"address":"$remote_addr","method":"$request_method","uri":"$uri",'
        '"status":$status,"bytes":$body_bytes_sent,"seconds":$request_time,"port":"$server_port","range":"$http_range"}}';
    access_log /dev/stdout nodisk;
    server_tokens off;
    default_type text/plain;
    types {{
        application/efi efi;
        application/octet-stream kpxe;
    }}
    sendfile on;
    tcp_nopush on;
    keepalive_timeout 65;
    client_body_temp_path {run}/nginx/body;
    proxy_temp_path {run}/nginx/proxy;
    fastcgi_temp_path {run}/nginx/fastcgi;
    uwsgi_temp_path {run}/nginx/uwsgi;
    scgi_temp_path {run}/nginx/scgi;
    ssl_certificate {pki}/server.crt;
    ssl_certificate_key {pki}/server.key;
    ssl_protocols TLSv1.2 TLSv1.3;
    ssl_session_cache shared:nodisk:1m;

    # The application believes X-Real-IP, because only nginx reaches its socket; "unix:" is nobody's address.
    proxy_http_version 1.1;
    proxy_set_header Connection "";
    proxy_set_header Host $http_host;
    proxy_set_header X-Real-IP $remote_addr;

    upstream application {{
        server unix:{run}/app.sock;
        keepalive 32;  # of each worker: for the application, a new connection is a third of a request's work
        keepalive_timeout {idle}s;
    }}

    server {{
        listen {server}:{http};
        listen unix:{run}/http.sock;
        client_max_body_size {max_event};

        location /assets/ {{
            alias {objects}/;
            default_type application/octet-stream;
            add_header Cache-Control "public, max-age=31536000, immutable";
        }}
        location /ipxe/ {{
            alias {tftp}/;
        }}
        location = /boot.ipxe {{ proxy_pass http://application; }}
        location /boot/ {{ proxy_pass http://application; }}
        # GRUB that came by HTTP asks through its firmware, which keeps a connection, also from an address it gave up.
        location /grub/ {{ keepalive_timeout 0; proxy_pass http://application; }}
        location /ignition/ {{ proxy_pass http://application; }}
        location = /event {{ proxy_pass http://application; }}
        location = /inventory {{ proxy_pass http://application; }}
{peers}        location = / {{ proxy_pass http://application; }}
        location = /kubectl {{ proxy_pass http://application; }}
        location = /kubectl.sha256 {{ proxy_pass http://application; }}
        location / {{ return 404; }}
    }}

    server {{
        listen {server}:{enrol} ssl;
        client_max_body_size {max_enrol};
        client_body_buffer_size {max_enrol};  # in memory: an enrolment touches no disk
        proxy_max_temp_file_size 0;
{policies}
        location = /enrol {{ proxy_pass http://application; }}
        location / {{ return 404; }}
    }}

    # The console. X-Real-IP is "unix:" for browsers that come through a virtual lab's forwarder.
    limit_conn_zone $binary_remote_addr zone=browsers:1m;
    limit_conn_zone $server_name zone=console:1m;
    limit_conn_zone $server_name zone=lasting:1m;
    # A page that was asked for while the console starts is asked for again; a form is sent by people only.
    map $request_method $again {{ GET 2; default ""; }}
    server {{
        listen {console}:{console_port} ssl;
        listen unix:{run}/console-tls.sock ssl;
        server_name console;  # the key under which all its requests are counted
        client_max_body_size {max_console};
        client_header_timeout 10s;
        client_body_timeout 10s;
        limit_conn browsers {per_browser};
        limit_conn console {console_connections};

        error_page 502 =503 @starting;
        location @starting {{
            default_type text/html;
            add_header Refresh $again always;
            add_header Retry-After $again always;
            return 503 "{starting}";
        }}
        location / {{ proxy_pass http://unix:{run}/console.sock; }}
        location ~ ^/classes/(new|make)$ {{
            client_max_body_size {max_roster};
            proxy_pass http://unix:{run}/console.sock;
        }}
        location ~ ^(/door/[a-z0-9-]+)?/live$ {{
            limit_conn lasting {lasting};  # instead of the two above
            client_max_body_size 1;
            proxy_pass http://unix:{run}/console.sock;
            proxy_buffering off;
            proxy_read_timeout 60s;
        }}
        # Terminals, students' own and watched ones: WebSockets (RFC 6455). Both ends ask for a sign of life every 20 s.
        location ~ ^/(door/[a-z0-9-]+/terminal|class/[a-z0-9-]+/terminal/[a-z0-9-]+)/socket$ {{
            limit_conn lasting {lasting};
            client_max_body_size 1;
            proxy_set_header Upgrade $http_upgrade;
            proxy_set_header Connection upgrade;
            proxy_set_header Host $http_host;
            proxy_set_header X-Real-IP $remote_addr;
            proxy_pass http://unix:{run}/console.sock;
            proxy_read_timeout 60s;
            proxy_send_timeout 60s;
        }}
    }}
{registry_server}{metrics_server}}}
{stream}"""
_POLICIES = """
        # Who enrols has no certificate yet; who asks for policies shows its kubelet's.
        ssl_verify_client optional;
        ssl_client_certificate {pki}/ca.crt;
        location = /policies {{
            if ($ssl_client_verify != SUCCESS) {{ return 403; }}
            proxy_set_header Connection "";
            proxy_set_header Host $http_host;
            proxy_set_header X-Real-IP $remote_addr;
            proxy_set_header {subject} $ssl_client_s_dn;
            proxy_pass http://application;
        }}
"""
_PEERS = """\
        location = /peers { proxy_pass http://application; }
"""
CLIENT_SUBJECT = "Nodisk-Client-Subject"
"""The header in which the application gets the subject of a client's certificate (RFC 2253)."""
_REGISTRY = """
    server {{
        listen {server}:{registry} ssl;
        client_max_body_size 0;
        proxy_request_buffering off;
        proxy_max_temp_file_size 0;
        proxy_read_timeout 900s;
        proxy_set_header X-Forwarded-Proto https;

        location /v2/ {{
            limit_except GET HEAD {{
                allow {server};
                deny all;
            }}
            proxy_pass http://unix:{run}/registry.sock;
{direct}        }}
{layers}        location / {{ return 404; }}
    }}
"""
_LAYERS = """\
        # Which machine to ask for a layer; 404, after which containerd asks the registry itself.
        location /peers/v2/ {
            limit_except GET { deny all; }
            proxy_set_header Connection "";
            proxy_set_header Host $http_host;
            proxy_set_header X-Real-IP $remote_addr;
            proxy_pass http://application;
            proxy_read_timeout 100s;
        }

        # Tells the application of a layer that is asked for here; what it answers, nobody sees.
        location = /direct {
            internal;
            proxy_set_header Connection "";
            proxy_set_header Host $http_host;
            proxy_set_header X-Real-IP $remote_addr;
            proxy_pass_request_body off;
            proxy_set_header Content-Length "";
            proxy_pass http://application/direct$request_uri;
        }
"""
_DIRECT = """\
            mirror /direct;  # who was sent to another machine and comes here got nothing there
            mirror_request_body off;
"""
_CLASS_REGISTRY = r"""
    # Students' own images: the application decides who may push and pull what. docker-registry must see no forms: it
    # would look into those for the image that a layer comes from, and keep their files.
    map $http_content_type $registry_type {{
        default "";
        ~^application/(octet-stream|json|vnd[.]) $http_content_type;
    }}
    map $request_method $registry_writer {{
        default $http_authorization;
        GET "";
        HEAD "";
    }}
    limit_conn_zone $registry_writer zone=registry_writers:1m;
    limit_conn_zone $binary_remote_addr zone=registry_addresses:1m;
    limit_conn_zone $server_name zone=registry:1m;
    server {{
        listen {server}:{port} ssl;
        server_name class-registry;  # the key under which all its requests are counted
        client_header_timeout 10s;
        client_max_body_size {largest};
        limit_conn registry_writers {writes};
        limit_conn registry_addresses {per_address};
        limit_conn registry {connections};
        proxy_request_buffering off;
        proxy_max_temp_file_size 0;
        proxy_read_timeout 900s;
        default_type application/json;

        location /v2/ {{
            auth_request /asked;
            auth_request_set $why $upstream_http_{reason};
            error_page 401 = @login;
            error_page 403 = @refused;
            proxy_intercept_errors on;
            error_page 500 502 = /failed;  # docker-registry has no word for a full file system
            proxy_set_header Connection "";
            proxy_set_header Host $http_host;
            proxy_set_header X-Forwarded-Proto https;
            proxy_set_header Authorization "";
            proxy_set_header Content-Type $registry_type;
            proxy_pass http://unix:{run}/class-registry.sock;
        }}
        location = /failed {{
            internal;
            proxy_set_header Connection "";
            proxy_set_header Host $http_host;
            proxy_pass_request_body off;
            proxy_set_header Content-Length "";
            proxy_pass http://application/class-registry/failed;
        }}
        location = /asked {{
            internal;
            proxy_set_header Connection "";
            proxy_set_header Host $http_host;
            proxy_set_header X-Real-IP $remote_addr;
            proxy_set_header X-Original-URI $request_uri;
            proxy_set_header X-Original-Method $request_method;
            proxy_pass_request_body off;
            proxy_set_header Content-Length "";
            proxy_pass http://application/class-registry/asked;
        }}
        location @login {{
            add_header WWW-Authenticate 'Basic realm="nodisk"' always;
            add_header Docker-Distribution-Api-Version registry/2.0 always;
            return 401 '{{"errors":[{{"code":"UNAUTHORIZED","message":"$why"}}]}}';
        }}
        location @refused {{
            # HEAD has no room for a reason: with 404 skopeo goes on to push the layer, and is told then.
            set $look "$request_method $uri";
            if ($look ~ "^HEAD .*/blobs/") {{ return 404; }}
            return 403 '{{"errors":[{{"code":"DENIED","message":"$why"}}]}}';
        }}
        location / {{ return 404; }}
    }}
"""
REGISTRY_WRITES = 10
"""Requests that add to the class registry at the same time, by one token; docker and skopeo have up to six."""
REGISTRY_CONNECTIONS = 1024
"""Requests to it at the same time."""
REASON = "Nodisk-Reason"
"""The header in which the application says why not: nothing in it needs an escape in JSON."""
_METRICS = """
    # Only for API servers, which show the certificate of the aggregation layer; whose it is, the application decides.
    server {{
        listen {server}:{metrics} ssl;
        ssl_certificate {pki}/metrics.crt;
        ssl_certificate_key {pki}/metrics.key;
        ssl_client_certificate {pki}/front-proxy-ca.crt;
        ssl_verify_client on;
        client_max_body_size 1k;

        location /apis/metrics.k8s.io/ {{
            proxy_set_header Connection "";
            proxy_set_header Host $http_host;
            proxy_set_header X-Real-IP $remote_addr;
            proxy_set_header {subject} $ssl_client_s_dn;
            proxy_pass http://application;
        }}
        location / {{ return 404; }}
    }}
"""
_STREAM = """
stream {{
    # Pods come with their machine's address: one that opens connections and does nothing takes none from the others.
    limit_conn_zone $binary_remote_addr zone=addresses:1m;

    upstream api {{
        zone api 64k;  # all workers know at once which machine is gone
{api_servers}
    }}

    server {{
        # A machine that lost power leaves its connections hanging: ask after 30 seconds of silence.
        listen {server}:{api} so_keepalive=30s:10s:3;
        listen unix:{run}/api.sock;
        limit_conn addresses {per_address};
        proxy_pass api;
        proxy_connect_timeout {patience};
        proxy_timeout 1h;
        proxy_socket_keepalive on;
    }}
}}
"""


def nginx(lab: Lab, host: Host) -> str:
    """The file for ``nginx -c``."""
    planes = lab.by_role(Role.CONTROL_PLANE)
    api_servers = "\n".join(
        f"        server {machine.address}:{ports.API} max_fails=1 fail_timeout={LEAVE_ALONE}s;" for machine in planes
    )
    patience = PATIENCE if len(planes) > 1 else 2 * PATIENCE
    layers, direct = (_LAYERS, _DIRECT) if lab.layers_between_machines else ("", "")
    registry = _REGISTRY.format(
        server=lab.network.server, registry=ports.REGISTRY, run=host.run, layers=layers, direct=direct
    )
    metrics = _METRICS.format(server=lab.network.server, metrics=ports.METRICS, pki=host.pki, subject=CLIENT_SUBJECT)
    class_registry = ""
    if lab.class_registry is not None:
        class_registry = _CLASS_REGISTRY.format(
            server=lab.network.server,
            port=ports.CLASS_REGISTRY,
            largest=lab.class_registry.per_namespace.bytes,
            writes=REGISTRY_WRITES,
            per_address=REGISTRY_CONNECTIONS // 4,
            connections=REGISTRY_CONNECTIONS,
            reason=REASON.lower().replace("-", "_"),
            run=host.run,
        )
    stream = _STREAM.format(
        server=lab.network.server,
        api=ports.API,
        run=host.run,
        per_address=API_CONNECTIONS,
        api_servers=api_servers,
        patience=f"{1000 * patience:.0f}ms",
    )
    return _TEMPLATE.format(
        module=f"load_module {host.stream_module};\n" if host.stream_module and lab.has_cluster else "",
        policies=_POLICIES.format(pki=host.pki, subject=CLIENT_SUBJECT) if lab.has_cluster else "",
        peers=_PEERS if lab.peers is not None else "",
        registry_server=registry + class_registry if lab.has_cluster else "",
        metrics_server=metrics if lab.has_cluster else "",
        stream=stream if lab.has_cluster else "",
        user=host.web_user,
        run=host.run,
        pki=host.pki,
        objects=host.objects,
        tftp=host.tftp,
        server=lab.network.server,
        http=ports.HTTP,
        enrol=ports.ENROL,
        idle=IDLE,
        max_event=MAX_EVENT,
        console=lab.console_address,
        console_port=lab.console.port,
        max_console=MAX_CONSOLE,
        per_browser=CONSOLE_CONNECTIONS // 4,
        lasting=CONSOLE_LASTING,
        max_roster=MAX_ROSTER,
        console_connections=CONSOLE_CONNECTIONS,
        starting=STARTING,
        max_enrol=MAX_ENROL,
    )
