// Package drivertest has fake hardware for tests, at the seams below which the
// drivers know the kernel: what runs above them is the drivers' own code.
//
// Stick is an HDMI to USB stick: a video node, a sound card, the HID interface of
// a MS2131 and its place in sysfs, all of which see the same faults. It keeps its
// time by the clock package's system clock and by Config.Now, so that it runs in
// real time, or in no time inside a bubble of testing/synctest.
//
//	stick := drivertest.NewStick(t.TempDir(), drivertest.Config{})
//	defer stick.Close()
//	src := v4l2.New(v4l2.Config{Path: v4l2.Auto, Kernel: stick.Kernel(), USB: stick.USB(), …})
//	stick.Command("unplug")
//	stick.Command("plug 3") // comes back as /dev/video3
//
// Command lists what can go wrong; the words are those of images/vm/dongle where
// that knows the same fault.
//
// A whole capture, whose worker is a process of its own, is tested by a test
// binary that is capture as well. TestMain does, before anything else:
//
//	if stick, err := drivertest.FromEnv(drivertest.Config{}); err != nil {
//		log.Fatal(err)
//	} else if stick != nil {
//		// of appliance/capture/internal/source
//		source.Machine = source.Hardware{Kernel: stick.Kernel(), USB: stick.USB(), PCM: stick.PCM, HID: stick.HID}
//		main() // os.Args are capture's: --config …, or worker, or slate
//		return
//	}
//
// and a test makes the remote control, starts its own binary with it in the
// environment, and the source v4l2:auto:
//
//	remote, err := drivertest.NewRemote(t.TempDir())
//	defer remote.Close()
//	cmd := exec.Command(os.Args[0], "--config", …, "--source", "v4l2:auto")
//	cmd.Env = append(os.Environ(), remote.Env())
//	remote.Command("nosignal")
//
// Faults stay when a worker is replaced, as those of a real stick do: the remote
// control tells each new one. The exception is "hang ever", which stands for what
// the kernel holds against one process.
package drivertest
