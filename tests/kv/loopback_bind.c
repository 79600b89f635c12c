/* For LD_PRELOAD: servers that have no option for the address that they listen on get loopback. */
#include <dlfcn.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

int bind(int fd, const struct sockaddr *at, socklen_t n)
{
	static int (*real)(int, const struct sockaddr *, socklen_t);
	static const struct in6_addr loopback6 = {
	    {{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 127, 0, 0, 1}}};
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;

	if (!real)
		*(void **)&real = dlsym(RTLD_NEXT, "bind");
	if (at->sa_family == AF_INET) {
		memcpy(&v4, at, sizeof(v4));
		v4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
		return real(fd, (const struct sockaddr *)&v4, sizeof(v4));
	}
	if (at->sa_family == AF_INET6) {
		memcpy(&v6, at, sizeof(v6));
		v6.sin6_addr = loopback6;
		return real(fd, (const struct sockaddr *)&v6, sizeof(v6));
	}
	return real(fd, at, n);
}
