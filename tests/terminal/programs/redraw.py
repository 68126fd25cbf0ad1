"""A full-screen program as `htop` is one: draws its table anew all the time, follows the size, is quit by q."""

from __future__ import annotations

import curses
import locale


def main(screen: curses.window) -> None:
    curses.curs_set(0)
    curses.use_default_colors()
    curses.init_pair(1, curses.COLOR_GREEN, -1)
    screen.timeout(20)
    number = chosen = 0
    while True:
        rows, columns = screen.getmaxyx()
        screen.erase()
        filled = number % max(1, columns - 12)
        screen.addnstr(0, 0, f"CPU [{'|' * filled:<{max(1, columns - 12)}}]", columns - 1, curses.color_pair(1))
        screen.addnstr(1, 0, f"{columns} x {rows}, chosen {chosen}", columns - 1, curses.A_BOLD)
        for row in range(2, rows - 1):
            style = curses.A_REVERSE if row - 2 == chosen else curses.A_NORMAL
            screen.addnstr(row, 0, f"{row - 2:>4} process-{row - 2} 日本".ljust(columns - 4), columns - 4, style)
        screen.refresh()
        number += 1
        match screen.getch():
            case curses.KEY_DOWN:
                chosen += 1
            case curses.KEY_RESIZE:
                curses.update_lines_cols()
            case 113:  # q
                return


locale.setlocale(locale.LC_ALL, "C.UTF-8")
curses.wrapper(main)
