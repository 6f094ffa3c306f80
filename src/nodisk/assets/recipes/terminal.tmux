# tmux only keeps the shell while no browser looks: it shows nothing of its own, and takes no key.
set -g status off
set -g prefix None
unbind C-b
set -g default-terminal tmux-256color
set -g default-shell /bin/bash
set -g history-limit 2000
set -g escape-time 20
set -g set-clipboard off
# Without the alternate screen, what scrolls away is kept by the browser's terminal.
set -ga terminal-overrides ',xterm*:smcup@:rmcup@'
