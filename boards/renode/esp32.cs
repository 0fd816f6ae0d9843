// What tinyproof's ESP32 firmware needs and Renode has not: a UART whose receiver says how much it
// holds, that FIFO's address for writing, and registers that keep their value. Renode compiles this
// file when esp32.resc includes it. Sections: ESP32 Technical Reference Manual v5.1.
using Antmicro.Renode.Core;
using Antmicro.Renode.Peripherals.Bus;

namespace Antmicro.Renode.Peripherals.UART
{
    // UART0 (13.5 UART registers). It is never busy and its FIFO to the line never full.
    public class TinyproofEsp32Uart : UARTBase, IDoubleWordPeripheral, IKnownSize
    {
        public TinyproofEsp32Uart(IMachine machine) : base(machine)
        {
        }

        public override void Reset()
        {
            base.Reset();
            readAddress = 0;
        }

        public uint ReadDoubleWord(long offset)
        {
            switch(offset)
            {
            case Fifo:
                if(!TryGetCharacter(out var character))
                {
                    return 0;
                }
                readAddress = (readAddress + 1) % FifoBytes;
                return character;
            case Status:
                return Held;
            case MemRxStatus:
                return readAddress << 2 | (readAddress + Held) % FifoBytes << 13;
            default:
                return 0;
            }
        }

        public void WriteDoubleWord(long offset, uint value)
        {
            if(offset == Fifo)
            {
                TransmitCharacter((byte)value);
            }
        }

        public long Size => 0x1000;

        public override Bits StopBits => Bits.One;

        public override Parity ParityBit => Parity.None;

        public override uint BaudRate => 115200;

        protected override void CharWritten()
        {
        }

        protected override void QueueEmptied()
        {
        }

        // RXFIFO_CNT: the queue has no end, the chip's FIFO holds 128 bytes.
        private uint Held => (uint)System.Math.Min(Count, FifoBytes - 1);

        private uint readAddress;

        private const long Fifo = 0x00;        // UART_FIFO_REG
        private const long Status = 0x1C;      // UART_STATUS_REG: RXFIFO_CNT in bits 0 to 7
        private const long MemRxStatus = 0x60; // UART_MEM_RX_STATUS_REG: addresses at bits 2 and 13
        private const int FifoBytes = 128;
    }

    // UART0's FIFO for writing, at its address on the AHB bus.
    public class TinyproofEsp32Transmitter : IDoubleWordPeripheral, IKnownSize
    {
        public TinyproofEsp32Transmitter(TinyproofEsp32Uart uart)
        {
            this.uart = uart;
        }

        public void Reset()
        {
        }

        public uint ReadDoubleWord(long offset)
        {
            return 0;
        }

        public void WriteDoubleWord(long offset, uint value)
        {
            uart.WriteDoubleWord(0, value);
        }

        public long Size => 4;

        private readonly TinyproofEsp32Uart uart;
    }
}

namespace Antmicro.Renode.Peripherals.Miscellaneous
{
    // Registers that keep what is written. In DPORT (5.4), DPORT_PRO_CACHE_CTRL_REG says that a flush
    // is done at once.
    public class TinyproofEsp32Registers : IDoubleWordPeripheral, IKnownSize
    {
        public void Reset()
        {
            System.Array.Clear(words, 0, words.Length);
        }

        public uint ReadDoubleWord(long offset)
        {
            return offset == CacheControl ? words[offset / 4] | FlushDone : words[offset / 4];
        }

        public void WriteDoubleWord(long offset, uint value)
        {
            words[offset / 4] = value;
        }

        public long Size => Bytes;

        private readonly uint[] words = new uint[Bytes / 4];

        private const int Bytes = 0x20000;
        private const long CacheControl = 0x40;   // DPORT_PRO_CACHE_CTRL_REG
        private const uint FlushDone = 1u << 5;   // PRO_CACHE_FLUSH_DONE
    }
}
