/*
 * What an allocator does to an address space: a heap that grows and is trimmed (brk), blocks that
 * grow by mremap, pages given back by madvise, threads with stacks and arenas of their own (large
 * PROT_NONE reservations of which little is used), and a fork in the middle.
 */
#define _GNU_SOURCE
#include <malloc.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

static void *allocate(void *arg)
{
	size_t n = 16 + (size_t)arg;
	void *blocks[16];

	for (size_t i = 0; i < 16; i++) {
		blocks[i] = malloc(n * 512);
		memset(blocks[i], 1, n * 512);
	}
	for (size_t i = 0; i < 16; i++)
		free(blocks[i]);
	malloc_trim(0);
	return NULL;
}

static void grow_block(void)
{
	char *block = NULL;

	for (size_t size = 150000; size < 5000000; size += size / 2) {
		block = realloc(block, size);
		memset(block, 2, size);
	}
	block = realloc(block, 200000);
	free(block);
}

int main(void)
{
	pthread_t threads[3];
	char *reserved;
	int status;

	allocate((void *)64);
	grow_block();
	for (size_t i = 0; i < 3; i++)
		pthread_create(&threads[i], NULL, allocate, (void *)(i * 20));
	for (size_t i = 0; i < 3; i++)
		pthread_join(threads[i], NULL);

	/* A reservation as large runtimes make it, and the little of it that gets used. */
	reserved = mmap(NULL, 128ul << 30, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
			-1, 0);
	if (reserved == MAP_FAILED)
		return 1;
	mprotect(reserved + (1ul << 30), 64 * 4096, PROT_READ | PROT_WRITE);
	memset(reserved + (1ul << 30), 3, 64 * 4096);
	if (!fork()) {
		allocate((void *)96);
		grow_block();
		madvise(reserved + (1ul << 30), 16 * 4096, MADV_DONTNEED);
		_exit(0);
	}
	wait(&status);
	madvise(reserved + (1ul << 30), 64 * 4096, MADV_FREE);
	munmap(reserved, 128ul << 30);
	return 0;
}
