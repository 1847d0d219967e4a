#ifndef VIDEOBOX_JPEG_FAIL_H
#define VIDEOBOX_JPEG_FAIL_H

// libjpeg ends a call that failed by longjmp; here is where that goes.
typedef struct {
	struct jpeg_error_mgr base; // first, libjpeg knows only this
	jmp_buf back;
	vb_jpeg_info *info;
} failure;

static void failed(j_common_ptr c)
{
	failure *f = (failure *)c->err;
	(*c->err->format_message)(c, f->info->message);
	longjmp(f->back, 1);
}

// Cameras such as Logitech's C270 and C910 leave 1 to 9 bytes before a restart
// marker in nearly every good picture; a lost packet leaves hundreds.
#define STRAY 64

// harmless says that a warning is about a few bytes too many, which are skipped.
static int harmless(const struct jpeg_error_mgr *e)
{
	return e->msg_code == JWRN_EXTRANEOUS_DATA && e->msg_parm.i[0] <= STRAY;
}

// Warnings are counted, not printed.
static void quiet(j_common_ptr c, int level)
{
	if (level < 0 && !harmless(c->err))
		c->err->num_warnings++;
}

static struct jpeg_error_mgr *on_failure(failure *f, vb_jpeg_info *info)
{
	jpeg_std_error(&f->base);
	f->base.error_exit = failed;
	f->base.emit_message = quiet;
	f->info = info;
	return &f->base;
}

static inline int refuse(vb_jpeg_info *info, const char *why)
{
	snprintf(info->message, sizeof info->message, "%s", why);
	return -1;
}

#endif
