#include "encoder.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <x264.h>

struct vb_x264 {
	x264_t *h;
	x264_param_t param;
	char log[200];
};

// Keeps the first error of a call: it is the one that says what was wrong.
static void on_log(void *opaque, int level, const char *format, va_list args)
{
	vb_x264 *e = opaque;
	if (level > X264_LOG_ERROR || e->log[0])
		return;
	vsnprintf(e->log, sizeof e->log, format, args);
	e->log[strcspn(e->log, "\n")] = 0;
}

static void set_rate(x264_param_t *p, int kbps, int buffer)
{
	p->rc.i_rc_method = X264_RC_ABR;
	p->rc.i_bitrate = kbps;
	p->rc.i_vbv_max_bitrate = kbps;
	p->rc.i_vbv_buffer_size = buffer;
}

static int set_param(vb_x264 *e, const vb_x264_config *c)
{
	x264_param_t *p = &e->param;
	if (x264_param_default_preset(p, c->preset, "zerolatency") < 0)
		return -1;
	p->pf_log = on_log;
	p->p_log_private = e;
	p->i_log_level = X264_LOG_ERROR;

	p->i_width = c->width;
	p->i_height = c->height;
	p->i_csp = X264_CSP_I420;
	p->i_fps_num = c->rate;
	p->i_fps_den = 1;
	p->i_timebase_num = 1;
	p->i_timebase_den = 90000;
	p->b_vfr_input = 0;
	p->i_level_idc = c->level;
	p->i_threads = c->threads;
	p->b_sliced_threads = c->threads > 1;

	// IDR pictures only where the caller asks; every other picture is P.
	p->i_keyint_max = X264_KEYINT_MAX_INFINITE;
	p->i_scenecut_threshold = 0;
	p->i_bframe = 0;
	p->b_open_gop = 0;
	p->b_cabac = 1;
	p->analyse.b_transform_8x8 = 1; // what makes it High also with ultrafast

	p->b_aud = 1;
	p->b_annexb = 1;
	p->b_repeat_headers = 1;
	p->b_stitchable = 1;
	p->vui.i_sar_width = p->vui.i_sar_height = 1;
	p->vui.b_fullrange = 0;
	p->vui.i_colorprim = p->vui.i_transfer = p->vui.i_colmatrix = 1; // BT.709

	set_rate(p, c->kbps, c->buffer);
	return x264_param_apply_profile(p, "high");
}

vb_x264 *vb_x264_open(const vb_x264_config *c, char *message, int size)
{
	vb_x264 *e = calloc(1, sizeof *e);
	if (!e)
		return NULL;
	if (set_param(e, c) == 0)
		e->h = x264_encoder_open(&e->param);
	if (!e->h) {
		snprintf(message, size, "%s", e->log);
		free(e);
		return NULL;
	}
	return e;
}

void vb_x264_close(vb_x264 *e)
{
	x264_encoder_close(e->h);
	free(e);
}

int vb_x264_bitrate(vb_x264 *e, int kbps, int buffer)
{
	x264_param_t p;
	x264_encoder_parameters(e->h, &p);
	set_rate(&p, kbps, buffer);
	return x264_encoder_reconfig(e->h, &p);
}

// Finds where the coded pictures of the access unit lie. x264 writes all NAL
// units of a call behind each other; its version SEI of the first picture is
// skipped, else a looped slate would carry it every second.
static void locate(const x264_nal_t *nal, int n, vb_x264_out *out)
{
	for (int i = 0; i < n; i++) {
		if (nal[i].i_type == NAL_SEI)
			continue;
		vb_x264_part *last = &out->part[out->parts - 1];
		if (out->parts > 0 && last->data + last->size == nal[i].p_payload) {
			last->size += nal[i].i_payload;
		} else if (out->parts < VB_X264_PARTS) {
			out->part[out->parts].data = nal[i].p_payload;
			out->part[out->parts++].size = nal[i].i_payload;
		}
	}
}

int vb_x264_encode(vb_x264 *e, const uint8_t *y, const uint8_t *u, const uint8_t *v,
                   int ystride, int cstride, int64_t pts, int key, vb_x264_out *out)
{
	x264_picture_t in, coded;
	x264_nal_t *nal;
	int n, size;

	x264_picture_init(&in);
	in.i_type = key ? X264_TYPE_IDR : X264_TYPE_P;
	in.i_pts = pts;
	in.img.i_csp = X264_CSP_I420;
	in.img.i_plane = 3;
	in.img.plane[0] = (uint8_t *)y;
	in.img.plane[1] = (uint8_t *)u;
	in.img.plane[2] = (uint8_t *)v;
	in.img.i_stride[0] = ystride;
	in.img.i_stride[1] = in.img.i_stride[2] = cstride;

	memset(out, 0, sizeof *out);
	e->log[0] = 0;
	size = x264_encoder_encode(e->h, &nal, &n, &in, &coded);
	if (size <= 0)
		return size;
	locate(nal, n, out);
	return size;
}

const char *vb_x264_message(const vb_x264 *e) { return e->log; }
