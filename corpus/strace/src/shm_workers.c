/*
 * Forks workers over shared memory, the way a small server does: a shared anonymous segment that
 * all write, a private heap that is copied on write, a table that grows by mremap, a POSIX
 * shared memory object that is truncated while mapped, and workers that fork once more.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define PAGE 4096u
#define WORKERS 4
#define SHARED_PAGES 64u
#define HEAP_PAGES 48u

static void *map(size_t pages, int flags, int fd)
{
	void *at = mmap(NULL, pages * PAGE, PROT_READ | PROT_WRITE, flags, fd, 0);

	if (at == MAP_FAILED)
		exit(1);
	return at;
}

static void write_pages(char *at, size_t first, size_t pages, int value)
{
	for (size_t i = first; i < pages; i++)
		at[i * PAGE] = (char)value;
}

/* A private table that doubles until it is large. */
static void grow_table(int value)
{
	size_t pages = 4;
	char *table = map(pages, MAP_PRIVATE | MAP_ANONYMOUS, -1);

	for (int round = 0; round < 5; round++) {
		write_pages(table, pages / 2, pages, value);
		table = mremap(table, pages * PAGE, 2 * pages * PAGE, MREMAP_MAYMOVE);
		if (table == MAP_FAILED)
			exit(1);
		pages *= 2;
	}
	madvise(table, pages / 2 * PAGE, MADV_DONTNEED);
	mprotect(table, pages / 4 * PAGE, PROT_READ);
	munmap(table, pages * PAGE);
}

static void worker(int number, char *shared, char *heap, int fd)
{
	char *object = map(16, MAP_SHARED, fd);
	char *copy = map(16, MAP_PRIVATE, fd);

	write_pages(heap, (size_t)number, HEAP_PAGES, number);
	write_pages(shared, 0, SHARED_PAGES, number);
	write_pages(object, 0, 16, number);
	write_pages(copy, 8, 16, number);
	grow_table(number);
	if (number % 2) {
		pid_t child = fork();

		if (!child) {
			write_pages(heap, 0, HEAP_PAGES / 2, 100 + number);
			munmap(shared, SHARED_PAGES / 2 * PAGE);
			_exit(0);
		}
		waitpid(child, NULL, 0);
	}
	munmap(copy, 16 * PAGE);
	_exit(number);
}

int main(void)
{
	char *shared = map(SHARED_PAGES, MAP_SHARED | MAP_ANONYMOUS, -1);
	char *heap = map(HEAP_PAGES, MAP_PRIVATE | MAP_ANONYMOUS, -1);
	int fd = shm_open("/shm_workers", O_RDWR | O_CREAT | O_TRUNC, 0600);
	int status, ok = 1;

	if (fd < 0 || ftruncate(fd, 16 * PAGE))
		return 1;
	shm_unlink("/shm_workers");
	write_pages(heap, 0, HEAP_PAGES, 'm');
	for (int i = 0; i < WORKERS; i++) {
		if (!fork())
			worker(i, shared, heap, fd);
	}
	write_pages(heap, 0, HEAP_PAGES / 2, 'p');
	for (int i = 0; i < WORKERS; i++)
		ok &= wait(&status) > 0 && WIFEXITED(status);
	if (ftruncate(fd, 4 * PAGE))
		return 1;
	munmap(heap, HEAP_PAGES * PAGE);
	return !ok;
}
