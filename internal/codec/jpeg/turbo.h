#ifndef VIDEOBOX_JPEG_H
#define VIDEOBOX_JPEG_H

#include <stddef.h>
#include <stdint.h>

#define VB_JPEG_MESSAGE 200 // JMSG_LENGTH_MAX

typedef struct {
	int width, height; // of the picture, as its header says
	int warnings;
	char message[VB_JPEG_MESSAGE];
} vb_jpeg_info;

// Reads the header. Returns 0, or -1 with a message.
int vb_jpeg_header(const uint8_t *data, size_t size, int max_side, vb_jpeg_info *info);

// Decodes to I420 planes of info's size with odd sides rounded down. Returns 0,
// or -1 with a message.
int vb_jpeg_decode(const uint8_t *data, size_t size, vb_jpeg_info *info, uint8_t *y, uint8_t *u,
                   uint8_t *v, int ystride, int cstride);

// Encodes I420. On success *out is malloced and the caller's to free.
int vb_jpeg_encode(const uint8_t *y, const uint8_t *u, const uint8_t *v, int width, int height,
                   int ystride, int cstride, int quality, uint8_t **out, unsigned long *size,
                   vb_jpeg_info *info);

#endif
