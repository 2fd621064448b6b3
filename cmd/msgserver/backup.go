package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/msgserver/msgserver/storage"
)

// backupOutput is what a backup came to.
type backupOutput struct {
	File          string `json:"file"`
	Bytes         int64  `json:"bytes"`
	DatabaseBytes int64  `json:"databaseBytes"`
}

func newBackup() *cobra.Command {
	var (
		to, admin, data string
		force           bool
		accept          journalLossFlag
		out             output
	)
	cmd := &cobra.Command{
		Use:   "backup --to FILE",
		Short: "Make a backup of a running server, or of a stopped one's data",
		Long: "Make a backup that contains everything that was acknowledged before it began: of the server with the\n" +
			"admin address --admin while it runs, or with --data of a directory that no server uses.",
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if to == "" {
				return usageError("--to is missing: the file to make")
			}
			if err := out.check(); err != nil {
				return err
			}
			if _, err := os.Stat(to); err == nil && !force {
				return fmt.Errorf("%s exists: choose another file, or pass --force to replace it", to)
			}
			from := func(ctx context.Context, w io.Writer) error { return download(ctx, admin, w) }
			if c.Flags().Changed("data") {
				if err := accept.apply(c, data); err != nil {
					return err
				}
				from = func(ctx context.Context, w io.Writer) error { return storage.BackupDir(ctx, data, w) }
			}
			result, err := makeBackup(c.Context(), to, from)
			if err != nil {
				return err
			}
			return out.print(c, result, func() string {
				return fmt.Sprintf("backed up %s to %s (%s), and verified", size(result.DatabaseBytes), result.File, size(result.Bytes))
			})
		},
	}
	cmd.Flags().StringVar(&to, "to", "", "the file to make (required)")
	cmd.Flags().StringVar(&admin, "admin", "127.0.0.1:3007", "admin address of the running server")
	cmd.Flags().StringVar(&data, "data", "", "data directory of a stopped server, instead of --admin")
	cmd.Flags().BoolVar(&force, "force", false, "replace the file if it exists")
	accept.flag(cmd)
	out.flags(cmd)
	return cmd
}

// makeBackup writes the backup beside its place, reads it back, and only then gives it its name.
func makeBackup(ctx context.Context, to string, from func(context.Context, io.Writer) error) (backupOutput, error) {
	show := &progressWriter{progress: newProgress("backup")}
	defer show.clear()
	temp := to + ".part"
	f, err := os.OpenFile(temp, os.O_CREATE|os.O_TRUNC|os.O_RDWR, 0o600)
	if err != nil {
		return backupOutput{}, err
	}
	defer os.Remove(temp)
	err = from(ctx, io.MultiWriter(f, show))
	if err == nil {
		err = f.Sync()
	}
	result := backupOutput{File: to, Bytes: show.bytes}
	if err == nil {
		_, err = f.Seek(0, io.SeekStart)
	}
	if err == nil {
		result.DatabaseBytes, err = storage.VerifyBackup(f)
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return result, err
	}
	return result, errors.Join(os.Rename(temp, to), syncDir(filepath.Dir(to)))
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// download has a running server make the backup.
func download(ctx context.Context, admin string, w io.Writer) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+admin+"/backup", nil)
	if err != nil {
		return usageError("--admin %s: %v", admin, err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return &codedError{exitUnreachable, fmt.Errorf("no server has the admin address %s: name it with --admin, or the data of a stopped server with --data: %w", admin, err)}
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		why, _ := io.ReadAll(io.LimitReader(resp.Body, 1<<10))
		return fmt.Errorf("the server made no backup: %s: %s", resp.Status, strings.TrimSpace(string(why)))
	}
	_, err = io.Copy(w, resp.Body)
	return err
}

func newRestore() *cobra.Command {
	var from, data string
	var out output
	cmd := &cobra.Command{
		Use:   "restore --from FILE --data DIR",
		Short: "Replace the data of a stopped server by a backup",
		Long: "Replace the data of a stopped server by a backup. The backup is verified, and the database in it checked,\n" +
			"before anything is replaced; what was there is kept in a directory beside.",
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if from == "" {
				return usageError("--from is missing: the backup")
			}
			if err := out.check(); err != nil {
				return err
			}
			f, err := os.Open(from)
			if err != nil {
				return err
			}
			defer f.Close()
			show := newProgress("restore: checking")
			kept, err := storage.Restore(data, f, show.ratio)
			show.clear()
			if err != nil {
				return err
			}
			return out.print(c, map[string]string{"data": data, "kept": kept}, func() string {
				text := fmt.Sprintf("restored %s from %s", data, from)
				if kept != "" {
					text += fmt.Sprintf("\nwhat was there is in %s: remove it when you no longer need it", kept)
				}
				return text
			})
		},
	}
	cmd.Flags().StringVar(&from, "from", "", "the backup (required)")
	cmd.Flags().StringVar(&data, "data", "./data", "the data directory")
	out.flags(cmd)
	return cmd
}
