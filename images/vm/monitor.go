package vm

import (
	"context"
	"fmt"
	"net"
)

// Reset presses the machine's reset button and waits for the boot to begin.
func (m *Machine) Reset(ctx context.Context) error {
	n := m.Restarts()
	if err := m.Command(ctx, "system_reset", nil, nil); err != nil {
		return err
	}
	return m.WaitRestarts(ctx, n+1)
}

// SysRq sends a break on the serial line and a key: the kernel's magic SysRq
// (admin-guide/sysrq.rst), such as 'c' for a crash. The command line needs
// sysrq_always_enabled=1, see Config.Append.
func (m *Machine) SysRq(ctx context.Context, key byte) error {
	if err := m.Command(ctx, "chardev-send-break", map[string]any{"id": "serial"}, nil); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	_, err := m.life.process.Stdin.Write([]byte{key})
	return err
}

// UnplugStick pulls the stick out, with its cable: unlike the stick's own
// unplug, QEMU lets its connection go.
func (m *Machine) UnplugStick(ctx context.Context) error {
	return m.unplug(ctx, "stick0") // takes its chardev along
}

// PlugStick puts it back, into the same port.
func (m *Machine) PlugStick(ctx context.Context) error {
	host, port, err := net.SplitHostPort(m.config.Stick)
	if err != nil {
		return fmt.Errorf("this machine has no stick: %w", err)
	}
	address := map[string]any{"type": "inet", "data": map[string]any{"host": host, "port": port}}
	backend := map[string]any{"type": "socket", "data": map[string]any{"addr": address, "server": false, "nodelay": true, "reconnect": 1}}
	if err := m.Command(ctx, "chardev-add", map[string]any{"id": "stick", "backend": backend}, nil); err != nil {
		return err
	}
	return m.Command(ctx, "device_add", map[string]any{"driver": "usb-redir", "id": "stick0", "chardev": "stick", "bus": "xhci.0", "port": "1"}, nil)
}

// PlugDisk puts a USB stick with a disk image in.
func (m *Machine) PlugDisk(ctx context.Context, d Disk) error {
	if d.Format == "" {
		d.Format = "raw"
	}
	node := map[string]any{"driver": d.Format, "node-name": d.ID, "file": map[string]any{"driver": "file", "filename": d.Path}}
	if err := m.Command(ctx, "blockdev-add", node, nil); err != nil {
		return err
	}
	return m.Command(ctx, "device_add", map[string]any{"driver": "usb-storage", "id": d.ID + "-device", "drive": d.ID, "bus": "xhci.0"}, nil)
}

// UnplugDisk pulls it out, whether the guest is done with it or not.
func (m *Machine) UnplugDisk(ctx context.Context, id string) error {
	if err := m.unplug(ctx, id+"-device"); err != nil {
		return err
	}
	return m.Command(ctx, "blockdev-del", map[string]any{"node-name": id}, nil)
}

// unplug removes a device and waits until it is gone.
func (m *Machine) unplug(ctx context.Context, id string) error {
	m.mu.Lock()
	q := m.life.qmp
	m.mu.Unlock()
	gone := q.waitDeleted(id)
	if err := q.run(ctx, "device_del", map[string]any{"id": id}, nil); err != nil {
		return err
	}
	select {
	case <-gone:
		return nil
	case <-q.done:
		return errMonitorGone
	case <-ctx.Done():
		return fmt.Errorf("%s is still there: %w", id, ctx.Err())
	}
}
