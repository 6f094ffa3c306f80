/* What holds a pod's namespaces: waits for ever, reaps what its pod leaves behind, ends at once when told to.
 * It is PID 1 of a pod that shares its process namespace. Blocked signals are never lost, so sigwaitinfo sees them all. */
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

int main(void)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGCHLD);
    sigprocmask(SIG_BLOCK, &set, NULL);
    for (;;) {
        int signal = sigwaitinfo(&set, NULL);
        if (signal == SIGCHLD)
            while (waitpid(-1, NULL, WNOHANG) > 0)
                ;
        else if (signal > 0)
            return 0;
    }
}
