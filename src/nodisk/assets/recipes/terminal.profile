# Of every shell in a student's terminal; what is in the student's own ~/.bashrc comes after it.
PS1='\w\$ '
HISTCONTROL=ignoreboth
alias ls='ls --color=auto' ll='ls -l' k=kubectl
[ ! -r /usr/share/bash-completion/bash_completion ] || . /usr/share/bash-completion/bash_completion
[ ! -r ~/.bashrc ] || . ~/.bashrc
