#!/bin/sh
# Says who answers, to whom, and what was asked: a line each.
printf 'Content-Type: text/plain\r\nCache-Control: no-store\r\n\r\n'
echo "pod: ${POD_NAME:-$(hostname)}"
echo "node: ${NODE_NAME:-unknown}"
echo "address: ${POD_IP:-$(hostname -i 2>/dev/null)}"
client=${REMOTE_ADDR#\[::ffff:} # IPv4 seen by a socket for both
echo "client: ${client%\]}"
echo "path: $REQUEST_URI"
