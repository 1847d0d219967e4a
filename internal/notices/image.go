package notices

// Where the complete source of what is under the GPL and LGPL in the image is
// had, for whoever gets an image.
const (
	kernelSource   = "Complete source: https://github.com/gokrazy/kernel.rpi holds configuration and build, and names the commit of https://github.com/raspberrypi/linux."
	kernelPCSource = "Complete source: Debian's source package linux 6.1.192-2, https://deb.debian.org/debian-security/pool/updates/main/l/linux/ and https://snapshot.debian.org/; " +
		"the configuration is images/kernel-pc/kernel.config of the videobox source, and make kernel-pc builds it."
	debianSource = "Complete source: the source package of Debian 12, https://deb.debian.org/debian/pool/main/ and https://snapshot.debian.org/. " +
		"The programs can be linked anew with another version of it: the videobox source and make image do that."
)

// image are the works that are part of a box's image and of none of the
// programs that the other lists are about; a test in images compares them with
// what an image holds.
var image = []Notice{
	{
		Name: "Linux", Licence: "GPL-2.0-only WITH Linux-syscall-note",
		Source:    "https://github.com/gokrazy/kernel.rpi",
		Use:       "image: the kernel and its modules, as gokrazy builds them",
		Copyright: "Copyright (C) 1991-2025 Linus Torvalds and others",
		Extra:     kernelSource,
		Text:      "GPL-2.0",
	},
	{
		Name: "Linux for PCs", Version: "6.1.192", Licence: "GPL-2.0-only WITH Linux-syscall-note",
		Source:    "https://tracker.debian.org/pkg/linux",
		Use:       "image of PC boxes: the kernel and its modules, built from Debian's source",
		Copyright: "Copyright (C) 1991-2023 Linus Torvalds and others",
		Extra:     kernelPCSource,
		Text:      "GPL-2.0",
	},
	{
		Name: "Raspberry Pi firmware", Licence: "LicenseRef-Broadcom",
		Source:    "https://github.com/gokrazy/firmware",
		Use:       "image: what starts the Raspberry Pi up to the 4",
		Copyright: "Copyright (c) 2006, Broadcom Corporation.\nCopyright (c) 2015, Raspberry Pi (Trading) Ltd\nAll rights reserved.",
		Text:      "Broadcom",
	},
	{
		Name: "Raspberry Pi EEPROM", Licence: "LicenseRef-Raspberry-Pi",
		Source:    "https://github.com/gokrazy/rpi-eeprom",
		Use:       "image: the boot loader of Raspberry Pi 4 and 5",
		Copyright: "Copyright: 2019, Raspberry Pi (Trading) Ltd.\nAll rights reserved.",
		Text:      "Raspberry-Pi-EEPROM",
	},
	{
		Name: "GNU C Library", Licence: "LGPL-2.1-or-later",
		Source:    "https://www.gnu.org/software/libc/",
		Use:       "image: capture, boxd: the C library, linked",
		Copyright: "Copyright (C) 1988-2022 Free Software Foundation, Inc.",
		Extra:     debianSource,
		Text:      "LGPL-2.1",
	},
	{
		Name: "GCC runtime libraries", Licence: "GPL-3.0-or-later WITH GCC-exception-3.1",
		Source:    "https://gcc.gnu.org/",
		Use:       "image: boxd: libstdc++ and libgcc, linked",
		Copyright: "Copyright (C) 1987-2022 Free Software Foundation, Inc.",
		Extra:     debianSource,
		Text:      "GPL-3.0",
	},
	{
		Name: "e2fsprogs", Version: "1.47.0", Licence: "GPL-2.0-only AND LGPL-2.0-only AND BSD-3-Clause AND MIT",
		Source:    "https://e2fsprogs.sourceforge.net/",
		Use:       "image: e2fsck, a program of its own, repairs the file system of the card",
		Copyright: "Copyright (C) 1993-2023 Theodore Ts'o <tytso@mit.edu> and others",
		Extra:     debianSource,
		Text:      "GPL-2.0",
	},
	{
		Name: "gokrazy/gokrazy", Licence: "BSD-3-Clause",
		Source:    "https://pkg.go.dev/github.com/gokrazy/gokrazy",
		Use:       "image: init, and dhcp for the address",
		Copyright: "Copyright (c) 2017 the gokrazy authors. All rights reserved.",
		Text:      "BSD-3-Clause-gokrazy",
	},
	{
		Name: "gokrazy/internal", Licence: "BSD-3-Clause",
		Source:    "https://pkg.go.dev/github.com/gokrazy/internal",
		Use:       "image: init: partitions, updates",
		Copyright: "Copyright (c) 2017 the gokrazy authors. All rights reserved.",
		Text:      "BSD-3-Clause-gokrazy",
	},
	{
		Name: "google/gopacket", Licence: "BSD-3-Clause",
		Source:    "https://pkg.go.dev/github.com/google/gopacket",
		Use:       "image: dhcp: packets",
		Copyright: "Copyright (c) 2012 Google, Inc. All rights reserved.\nCopyright (c) 2009-2011 Andreas Krennmair. All rights reserved.",
		Text:      "BSD-3-Clause-gopacket",
	},
	{
		Name: "josharian/native", Licence: "MIT",
		Source:    "https://pkg.go.dev/github.com/josharian/native",
		Use:       "image: dhcp: byte order",
		Copyright: "Copyright 2020 Josh Bleecher Snyder",
		Text:      "MIT",
	},
	{
		Name: "kenshaw/evdev", Licence: "BSD-2-Clause",
		Source:    "https://pkg.go.dev/github.com/kenshaw/evdev",
		Use:       "image: init: the power button",
		Copyright: "Copyright (c) 2001-2013, Jim Teeuwen",
		Text:      "BSD-2-Clause-evdev",
	},
	{
		Name: "mdlayher/packet", Licence: "MIT",
		Source:    "https://pkg.go.dev/github.com/mdlayher/packet",
		Use:       "image: dhcp: raw sockets",
		Copyright: "Copyright (C) 2022 Matt Layher",
		Text:      "MIT",
	},
	{
		Name: "mdlayher/socket", Licence: "MIT",
		Source:    "https://pkg.go.dev/github.com/mdlayher/socket",
		Use:       "image: dhcp: raw sockets",
		Copyright: "Copyright (C) 2021 Matt Layher",
		Text:      "MIT",
	},
	{
		Name: "mdlayher/watchdog", Licence: "MIT",
		Source:    "https://pkg.go.dev/github.com/mdlayher/watchdog",
		Use:       "image: init: the hardware watchdog",
		Copyright: "Copyright (C) 2020 Matt Layher",
		Text:      "MIT",
	},
	{
		Name: "rtr7/dhcp4", Licence: "Apache-2.0",
		Source:    "https://pkg.go.dev/github.com/rtr7/dhcp4",
		Use:       "image: dhcp: the protocol",
		Copyright: "Copyright 2018 Google Inc.",
		Text:      "Apache-2.0",
	},
	{
		Name: "spf13/pflag", Licence: "BSD-3-Clause",
		Source:    "https://pkg.go.dev/github.com/spf13/pflag",
		Use:       "image: dhcp: flags",
		Copyright: "Copyright (c) 2012 Alex Ogier. All rights reserved.\nCopyright (c) 2012 The Go Authors. All rights reserved.",
		Text:      "BSD-3-Clause-Google",
	},
}
