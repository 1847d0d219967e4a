#ifndef VIDEOBOX_X264_H
#define VIDEOBOX_X264_H

#include <stdint.h>

typedef struct vb_x264 vb_x264;

typedef struct {
	int width, height, rate, level, threads, kbps, buffer;
	const char *preset;
} vb_x264_config;

// An access unit is at most two runs of bytes: before and behind a skipped SEI.
#define VB_X264_PARTS 2

typedef struct {
	const uint8_t *data;
	int size;
} vb_x264_part;

typedef struct {
	vb_x264_part part[VB_X264_PARTS];
	int parts;
} vb_x264_out;

vb_x264 *vb_x264_open(const vb_x264_config *c, char *message, int size);
void vb_x264_close(vb_x264 *e);
int vb_x264_bitrate(vb_x264 *e, int kbps, int buffer);

// Encodes one picture. out points into memory of the encoder, valid until the
// next call. The planes are read during the call only.
int vb_x264_encode(vb_x264 *e, const uint8_t *y, const uint8_t *u, const uint8_t *v,
                   int ystride, int cstride, int64_t pts, int key, vb_x264_out *out);
const char *vb_x264_message(const vb_x264 *e);

#endif
