// The C twin of raw.Attach: lists the threads of a process and seizes each, on
// one thread, and says how long that took.
//
//	cc -O2 -o raw raw.c && ./raw PID ROUNDS
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

struct entry {
	uint64_t ino;
	int64_t off;
	uint16_t length;
	uint8_t type;
	char name[];
};

static char path[64];

static int64_t now(void) {
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000LL + t.tv_nsec;
}

static void *attach(void *unused) {
	static char buf[32 << 10];
	int fd = open(path, O_RDONLY | O_DIRECTORY), seized = 0;
	int64_t begin = now();
	for (long n; (n = syscall(SYS_getdents64, fd, buf, sizeof buf)) > 0;)
		for (long at = 0; at < n;) {
			struct entry *e = (struct entry *)(buf + at);
			at += e->length;
			if (e->name[0] != '.' && !ptrace(PTRACE_SEIZE, atoi(e->name), 0, 0))
				seized++;
		}
	printf("%d threads %.2f ms\n", seized, (now() - begin) / 1e6);
	close(fd);
	return unused; // the end of the thread lets them go
}

int main(int argc, char **argv) {
	if (argc < 3)
		return 2;
	snprintf(path, sizeof path, "/proc/%s/task", argv[1]);
	for (int i = 0; i < atoi(argv[2]); i++) {
		pthread_t t;
		pthread_create(&t, 0, attach, 0);
		pthread_join(t, 0);
		usleep(20000);
	}
}
