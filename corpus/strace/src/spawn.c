/* The ways to start a program: fork and exec, vfork, posix_spawn, and exec from a thread. */
#include <pthread.h>
#include <spawn.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

static void *exec_from_thread(void *arg)
{
	free(malloc(100));
	execl("/bin/true", "true", (char *)NULL);
	return NULL;
}

int main(void)
{
	char *const args[] = {"true", NULL}, *const environment[] = {NULL};
	pthread_t thread;
	pid_t pid;

	if (!fork()) {
		free(malloc(300000));
		execl("/bin/true", "true", (char *)NULL);
		_exit(1);
	}
	wait(NULL);
	if (!vfork()) {
		execl("/bin/true", "true", (char *)NULL);
		_exit(1);
	}
	wait(NULL);
	if (posix_spawn(&pid, "/bin/true", NULL, NULL, args, environment))
		return 1;
	waitpid(pid, NULL, 0);
	pthread_create(&thread, NULL, exec_from_thread, NULL);
	pause();
	return 0;
}
